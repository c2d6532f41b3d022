"""What objects show in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from skdim._doclink import DocumentationLink


def html_table(title: str, rows: Mapping[str, str]) -> str:
    """Write a small table in HTML, for ``_repr_html_``.

    Examples
    --------
    >>> html_table("Fruit", {"apples & pears": "3"})
    '<table><caption>Fruit</caption><tr><th>apples &amp; pears</th><td style="text-align: left">3</td></tr></table>'
    """
    cell = '<td style="text-align: left">'  # notebooks align cells on the right
    lines = "".join(f"<tr><th>{escape(name)}</th>{cell}{escape(value)}</td></tr>" for name, value in rows.items())
    return f"<table><caption>{escape(title)}</caption>{lines}</table>"


class LearnedTable(DocumentationLink):
    """Mixin for estimators, to stand before ``BaseEstimator``: below their diagram is a table of what they learned."""

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
