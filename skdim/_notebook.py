"""What objects show in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape


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
