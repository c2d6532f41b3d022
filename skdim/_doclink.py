"""Where the diagrams that scikit-learn draws of estimators find the page about an estimator."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

_PAGE = "generated/{estimator_module}.html#{estimator_module}.{estimator_name}"


class DocumentationLink:
    """Mixin for estimators, to stand before ``BaseEstimator``: their diagrams link to their documentation."""

    _doc_link_module = "skdim"

    @property
    def _doc_link_template(self) -> str:
        """Address of a page, as scikit-learn fills it in; empty where there are no pages."""
        base = documentation_address()
        return f"{base}/{_PAGE}" if base else ""


@cache
def documentation_address() -> str:
    """Return where the documentation is: the address that the distribution names as its "Documentation".

    Else it is that of the pages that ``make docs`` has built beside the package; empty where there are neither.
    """
    try:
        named = metadata("skdim-crystals").get_all("Project-URL") or []
    except PackageNotFoundError:
        named = []
    for label, _, address in (line.partition(", ") for line in named):
        if label.lower() == "documentation":
            return str(address).rstrip("/")
    built = Path(__file__).parents[1] / "docs" / "_build" / "html"
    return built.as_uri() if (built / "index.html").is_file() else ""
