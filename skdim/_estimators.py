"""What estimators of crystals tell scikit-learn and notebooks: mixins, to stand before ``BaseEstimator``."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any, Self

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skdim._notebook import html_table

_PAGE = "generated/{estimator_module}.html#{estimator_module}.{estimator_name}"


class CrystalEstimator:
    """Takes crystals; its diagram links to its documentation."""

    _doc_link_module = "skdim"

    @property
    def _doc_link_template(self) -> str:
        """Address of a page, as scikit-learn fills it in; empty where there are no pages."""
        base = documentation_address()
        return f"{base}/{_PAGE}" if base else ""

    def __sklearn_tags__(self) -> Any:
        """Crystals are no two-dimensional array."""
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.two_d_array = False
        return tags


class KeepsEmbedder(CrystalEstimator):
    """Has a parameter ``embedder``, which stays fitted in clones: cross-validation starts from its weights."""

    embedder: Any

    def __sklearn_clone__(self) -> Self:
        """Clone the parameters but for a fitted embedder, of which a copy shares the weights."""
        bare, given = copy.copy(self), self.embedder
        bare.embedder = None
        fresh: Self = super(KeepsEmbedder, bare).__sklearn_clone__()  # type: ignore[misc]
        fresh.embedder = copy.copy(given) if hasattr(given, "state_") else clone(given, safe=False)
        return fresh


def thawed(embedder: Any) -> Any:
    """Return the embedder itself, of one in scikit-learn's FrozenEstimator."""
    return embedder.estimator if isinstance(embedder, FrozenEstimator) else embedder


class LearnedTable(CrystalEstimator):
    """Shows below its diagram a table of what it learned."""

    def _learned(self) -> Mapping[str, str]:
        """What is shown of a fitted estimator; nothing of one that is not fitted."""
        return {}

    def _learned_html(self) -> str:
        """Write the table, where there is something to show."""
        learned = self._learned()
        return html_table("Fitted", learned) if learned else ""

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        """What a notebook shows."""
        shown: dict[str, str] = super()._repr_mimebundle_(**kwargs)  # type: ignore[misc]
        if "text/html" in shown:
            shown["text/html"] += self._learned_html()
        return shown

    def _repr_html_inner(self) -> str:
        """What pages show that do not ask for `_repr_mimebundle_`."""
        return f"{super()._repr_html_inner()}{self._learned_html()}"  # type: ignore[misc]


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
