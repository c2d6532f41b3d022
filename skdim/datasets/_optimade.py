"""Structures of databases on the web that speak OPTIMADE, fetched page by page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urljoin, urlsplit
from urllib.request import Request, build_opener

from skdim.exceptions import InputError

PROVIDERS: Final = "https://providers.optimade.org/v1/links"
"""The list of databases that the OPTIMADE consortium keeps."""
_FIELDS: Final = (
    "lattice_vectors",
    "cartesian_site_positions",
    "species",
    "species_at_sites",
    "nperiodic_dimensions",
    "dimension_types",
    "structure_features",
    "assemblies",
)
_MOST_BYTES: Final = 256 << 20  # of a page


def fetch_optimade(
    filter: str,
    provider: str,
    *,
    max_crystals: int = 1000,
    properties: Sequence[str] = (),
    page_size: int = 100,
    timeout: float = 30.0,
) -> Any:
    """Fetch the structures of a database that speaks OPTIMADE.

    Parameters
    ----------
    filter : str
        In the language of OPTIMADE, such as ``'elements HAS ALL "Li","O" AND nelements<=4'``. Empty for all.
    provider : str
        The address of a database (up to or including ``/v1``), or the id of a provider in
        https://providers.optimade.org, such as "oqmd" or "alexandria". Of a provider with several databases the first
        is taken.
    max_crystals : int, default=1000
        The most that are fetched.
    properties : sequence of str
        Names of further properties to ask for, such as ``"_oqmd_band_gap"``; labels for instance.
    page_size : int, default=100
        Structures asked for at a time; servers may give fewer.
    timeout : float, default=30.0
        Seconds without an answer.

    Returns
    -------
    Bunch
        `data` : list of rows, each of which goes wherever a crystal goes; what cannot be used is found there.
        `material_id` : list of the database's own ids.
        `properties` : dict of lists, one for each of `properties`; None where the database has no value.
        `more` : bool, whether the database has more than were fetched.
        `DESCR` : str, where the structures come from.

    Raises
    ------
    InputError
        If a parameter cannot be used, the provider is not known, or the database does not accept the filter.
    ConnectionError
        If the database cannot be reached or does not answer as OPTIMADE has it.

    Notes
    -----
    Pages are asked for by Python's own means; the client of ``optimade`` collects all pages before it gives the
    first, and brings a dozen packages. Only pages of the same server are followed. Mind the licence of the database.

    References
    ----------
    C. W. Andersen et al., Sci. Data 8 (2021) 217, doi:10.1038/s41597-021-00974-z.

    Examples
    --------
    >>> from skdim.datasets import fetch_optimade
    >>> oxides = fetch_optimade('elements HAS "O" AND nelements=2', "oqmd", max_crystals=200)  # doctest: +SKIP
    >>> embedder.fit(oxides.data)  # doctest: +SKIP
    """
    from sklearn.utils import Bunch

    for name, value in (("max_crystals", max_crystals), ("page_size", page_size)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{name} must be an integer >= 1, got {value!r}.")
    base = _base_url(provider, timeout)
    query = {"page_limit": min(page_size, max_crystals), "response_fields": ",".join([*_FIELDS, *properties])}
    first = f"{base}/structures?{urlencode({'filter': filter, **query} if filter else query)}"
    from skdim.crystals.reading import CrystalRow  # brings pymatgen, which the bundled sets do without

    resources: list[Mapping[str, Any]] = []
    more = False
    for page, has_next in _pages(first, timeout):
        room = max_crystals - len(resources)
        resources += page[:room]
        more = has_next or len(page) > room
        if len(resources) >= max_crystals:
            break
    ids = [str(resource.get("id")) for resource in resources]
    attributes = [resource.get("attributes") or {} for resource in resources]
    return Bunch(
        data=[
            CrystalRow(name, {key: held.get(key) for key in _FIELDS})
            for name, held in zip(ids, attributes, strict=True)
        ],
        material_id=ids,
        properties={name: [held.get(name) for held in attributes] for name in properties},
        more=more,
        DESCR=f"{len(ids)} structures of {base} that match the OPTIMADE filter {filter!r}.",
    )


def _base_url(provider: str, timeout: float) -> str:
    """Return the address of a database, up to its version."""
    if "://" not in provider:
        provider = _database_of(provider, timeout)
    if urlsplit(provider).scheme not in ("http", "https"):
        raise InputError(f"provider must be an http(s) address or the id of a provider, got {provider!r}.")
    base = provider.rstrip("/")
    return base if base.rpartition("/")[2].startswith("v1") else f"{base}/v1"


def _database_of(name: str, timeout: float) -> str:
    """Look up the first database of a provider."""
    known = {link["id"]: link["attributes"].get("base_url") for link in _answer(PROVIDERS, timeout)["data"]}
    index = _href(known.get(name))
    if index is None:
        having = ", ".join(sorted(key for key, url in known.items() if url))
        raise InputError(f"provider {name!r} is not known, or has no database; known are {having}")
    links = _answer(f"{_base_url(index, timeout)}/links?page_limit=100", timeout)["data"]
    children = [link["attributes"] for link in links if link["attributes"].get("link_type") == "child"]
    urls = [url for child in children if (url := _href(child.get("base_url"))) is not None]
    if not urls:
        raise InputError(f"provider {name!r} names no database")
    return urls[0]


def _pages(url: str, timeout: float) -> Iterator[tuple[list[Mapping[str, Any]], bool]]:
    """Yield the structures of each page, and whether another page follows."""
    host = urlsplit(url)[:2]
    seen = {url}
    following: str | None = url
    while following is not None:
        answer = _answer(following, timeout)
        links = answer.get("links")
        target = _href(links.get("next")) if isinstance(links, Mapping) else None
        following = None if target is None else urljoin(following, target)
        if following is not None and (following in seen or urlsplit(following)[:2] != host):
            raise ConnectionError(
                f"{url} names as its next page {following!r}, which is no further page of that server"
            )
        seen.add(following or "")
        yield [resource for resource in answer["data"] if isinstance(resource, Mapping)], following is not None


def _href(link: Any) -> str | None:
    """Return the address of a link, which may be an object that has it."""
    link = link.get("href") if isinstance(link, Mapping) else link
    return link if isinstance(link, str) and link else None


def _answer(url: str, timeout: float) -> dict[str, Any]:
    """Ask a server, and return its answer."""
    request = Request(url, headers={"User-Agent": "skdim", "Accept": "application/vnd.api+json, application/json"})
    try:
        with build_opener().open(request, timeout=timeout) as response:
            data = response.read(_MOST_BYTES + 1)
    except HTTPError as error:
        with error:
            detail = _detail(error.read(1 << 20))
        kind = InputError if error.code == 400 else ConnectionError
        raise kind(f"{url} is refused by the server ({error.code}): {detail or error.reason}") from error
    except (URLError, HTTPException, TimeoutError, OSError) as error:
        reason = error.reason if type(error) is URLError else error
        raise ConnectionError(f"{url} cannot be fetched: {reason}") from error
    if len(data) > _MOST_BYTES:
        raise ConnectionError(
            f"{url} answers with more than {_MOST_BYTES >> 20} MiB; ask for smaller pages (page_size)"
        )
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConnectionError(f"{url} does not answer as OPTIMADE has it: {data[:60]!r}") from error
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        raise ConnectionError(f"{url} does not answer as OPTIMADE has it: there is no list 'data'")
    return answer


def _detail(body: bytes) -> str:
    """Return what a server says is wrong."""
    try:
        errors = json.loads(body)["errors"]
        return "; ".join(str(error.get("detail") or error.get("title")) for error in errors)[:500]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
