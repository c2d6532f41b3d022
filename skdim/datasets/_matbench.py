"""Matbench's tasks on structures, from files that have the sha256 that matminer states.

pooch could download them, but makes the folder before the host has answered, keeps proxy settings and knows no cure to
name in its errors.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, build_opener

from skdim._files import file_digest, replacing
from skdim.datasets._records import Records, deliver

STRUCTURE_TASKS: Final = (
    "matbench_dielectric",
    "matbench_jdft2d",
    "matbench_log_gvrh",
    "matbench_log_kvrh",
    "matbench_mp_e_form",
    "matbench_mp_gap",
    "matbench_mp_is_metal",
    "matbench_perovskites",
    "matbench_phonons",
)
COMPOSITION_TASKS: Final = (
    "matbench_expt_gap",
    "matbench_expt_is_metal",
    "matbench_glass",
    "matbench_steels",
)
_ATTEMPTS: Final = 3  # the host now and then delivers a damaged file; the next attempt is usually sound
_TIMEOUT: Final = 30.0  # seconds without a byte


@dataclass(frozen=True)
class TaskFile:
    """Where the file of a task comes from, where it goes and what it must hash to."""

    task: str
    target: str
    url: str
    sha256: str
    path: Path


def fetch_matbench(
    task: str,
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load a Matbench task whose input is a crystal structure, downloading its file if it is missing.

    matminer says where the file is and what its sha256 must be, and reads it. The hash is checked each time, before
    anything is read; matminer itself checks only right after a download. A damaged download is tried again and never
    kept.

    Parameters
    ----------
    task : str
        "matbench_dielectric", "matbench_jdft2d", "matbench_log_gvrh", "matbench_log_kvrh", "matbench_mp_e_form",
        "matbench_mp_gap", "matbench_mp_is_metal", "matbench_perovskites" or "matbench_phonons"; the prefix
        ``matbench_`` can be left out. Tasks on compositions ("matbench_steels", ...) are refused.
    data_home : str or path, optional
        The folder of the file. By default matminer's: the environment variable ``MATMINER_DATA``, or else
        the folder of ``matminer.datasets``. So files that matminer has downloaded are found.
    download_if_missing : bool, default=True
        If False, raise an error instead of trying to download.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        If True, `data` is a pandas DataFrame with the column ``structure`` and `target` a pandas Series.

    Returns
    -------
    Bunch or (data, target)
        Bunch with `data`, `target`, `frame`, `material_id`, `feature_names`, `target_names` and `DESCR` as in
        :func:`load_formation_energy`. The units of `target` are in `DESCR`; for "matbench_mp_is_metal" it is boolean.
        The rows are in Matbench's order and `material_id` has Matbench's own ids ("mb-jdft2d-001"), so that its
        official folds (package ``matbench``) apply. There is no `test_mask`: the ids say nothing about the test fold
        of the bundled sets, with which the tasks from the Materials Project overlap.

    Raises
    ------
    ValueError
        If `task` is no Matbench task on structures.
    FileNotFoundError
        If the file is missing and `download_if_missing` is False.
    ConnectionError
        If the file cannot be downloaded.
    OSError
        If the file, found or downloaded, does not have the sha256 that matminer states.

    Notes
    -----
    The two largest tasks, "matbench_mp_e_form" (132752 crystals) and "matbench_mp_gap" (106113), take minutes and
    several gigabytes of memory to read.

    References
    ----------
    A. Dunn et al., npj Comput. Mater. 6 (2020) 138, doi:10.1038/s41524-020-00406-3.

    Examples
    --------
    >>> from skdim.datasets import fetch_matbench
    >>> jdft2d = fetch_matbench("jdft2d")  # doctest: +SKIP
    >>> jdft2d.data.shape, jdft2d.target_names  # doctest: +SKIP
    ((636,), ['exfoliation_en'])
    """
    source = find_source(task, data_home)
    ensure_file(source, download_if_missing)
    return read(source, return_X_y=return_X_y, as_frame=as_frame)


def find_source(task: str, data_home: str | os.PathLike[str] | None) -> TaskFile:
    """Look a task up in matminer's table."""
    name = _full_name(task)
    import matminer.datasets
    from matminer.datasets.dataset_retrieval import get_dataset_attribute, get_dataset_columns

    if data_home is None:
        data_home = os.environ.get("MATMINER_DATA") or Path(matminer.datasets.__file__).parent
    (target,) = set(get_dataset_columns(name)) - {"structure"}
    return TaskFile(
        task=name,
        target=target,
        url=get_dataset_attribute(name, "url"),
        sha256=get_dataset_attribute(name, "hash"),
        path=Path(data_home).expanduser() / f"{name}.{get_dataset_attribute(name, 'file_type')}",
    )


def _full_name(task: str) -> str:
    """Complete and check the name of a task."""
    name = task if str(task).startswith("matbench_") else f"matbench_{task}"
    if name in STRUCTURE_TASKS:
        return name
    why = "is a task on compositions, without structures" if name in COMPOSITION_TASKS else "is no Matbench task"
    raise ValueError(f"task {task!r} {why}; the tasks on structures are {', '.join(STRUCTURE_TASKS)}")


def ensure_file(source: TaskFile, download_if_missing: bool) -> None:
    """Make sure that a sound file is in its place, or raise an error that says what to do."""
    if source.path.exists():
        found = file_digest(source.path)
        if found != source.sha256:
            raise OSError(
                f"{source.path} is damaged or of another version: its sha256 is {found}, matminer states "
                f"{source.sha256} for {source.task}. Delete the file and call fetch_matbench again to download it anew."
            )
    elif download_if_missing:
        download(source)
    else:
        raise FileNotFoundError(f"{source.path} does not exist and download_if_missing is False. {_by_hand(source)}")


class _DamagedError(Exception):
    """A download has another sha256."""


def download(source: TaskFile) -> None:
    """Download a file, which takes its place once its hash is right."""
    try:
        for _ in range(_ATTEMPTS):
            try:
                _download_once(source)
                return
            except _DamagedError as error:
                found = error
    except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
        if isinstance(error, HTTPError):
            error.close()  # it holds the connection
        reason = error.reason if type(error) is URLError else error
        raise ConnectionError(
            f"{source.task} is not at {source.path} and could not be downloaded from {source.url}: {reason}. "
            f"{_by_hand(source)}"
        ) from error
    raise OSError(
        f"{source.url} delivered a damaged file {_ATTEMPTS} times: its sha256 is {found}, matminer states "
        f"{source.sha256}. Nothing was kept. Try again later, or with a newer matminer. {_by_hand(source)}"
    )


def _download_once(source: TaskFile) -> None:
    """Download a file, unless it turns out to be damaged."""
    from tqdm import tqdm

    request = Request(source.url, headers={"User-Agent": "skdim"})
    # Not urlopen: it keeps the proxy settings of its first call.
    with build_opener().open(request, timeout=_TIMEOUT) as answer:
        # The folder is made once the host has answered: offline, nothing is left behind.
        source.path.parent.mkdir(parents=True, exist_ok=True)
        size = int(answer.headers.get("Content-Length", 0)) or None
        with replacing(source.path) as draft:
            # disable=None: a bar on a terminal, nothing in a log.
            with (
                draft.open("wb") as out,
                tqdm.wrapattr(answer, "read", total=size, desc=source.url, disable=None) as body,
            ):
                shutil.copyfileobj(body, out)
            if (found := file_digest(draft)) != source.sha256:
                raise _DamagedError(found)


def _by_hand(source: TaskFile) -> str:
    """Say how to get the file without a network on this machine."""
    return (
        f"To supply it by hand, download {source.url} (sha256 {source.sha256}) elsewhere and copy it to {source.path}, "
        "or pass the folder that holds it as data_home."
    )


def read(source: TaskFile, *, return_X_y: bool, as_frame: bool) -> Any:
    """Read a file that is in its place with matminer."""
    from matminer.datasets import load_dataset
    from matminer.datasets.dataset_retrieval import get_dataset_column_description, get_dataset_description

    table = load_dataset(source.task, data_home=str(source.path.parent), download_if_missing=False)
    # Matbench numbers its rows from one, with as many digits as the number of rows has.
    prefix, digits = source.task.replace("matbench", "mb").replace("_", "-"), len(str(len(table)))
    records = Records(
        material_id=[f"{prefix}-{row:0{digits}d}" for row in range(1, len(table) + 1)],
        structures=list(table["structure"]),
        labels={source.target: table[source.target].to_numpy()},
    )
    about = get_dataset_description(source.task), get_dataset_column_description(source.task, source.target)
    descr = f"{source.task}\n\n{about[0]}\n\n{source.target}: {about[1]}\n"
    return deliver(records, source.target, return_X_y=return_X_y, as_frame=as_frame, DESCR=descr)
