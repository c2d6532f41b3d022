"""Write what the pages show of the records in ``benchmarks`` and of the code: tables, and sentences that follow.

    python docs/made.py [PAGE ...]

A page names such a part in a comment of Markdown, ``<!-- made: NAME -->``, and what stands between it and
``<!-- /made -->`` is written here. So a page has its numbers wherever it is read; a test finds those that are stale.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import from_benchmarks
import from_code
import from_decisions
from house import house_svg, storeys

from skdim.evaluation._records import markdown_table

DOCS = Path(__file__).parent
PAGES = sorted(page for page in DOCS.rglob("*.md") if not {"_build", "auto_examples"} & set(page.parts))
HOUSE = DOCS / "images" / "house.svg"
_PART = re.compile(r"(?<=^<!-- made: )([\w -]+)( -->\n).*?(?=^<!-- /made -->)", re.MULTILINE | re.DOTALL)


def table(rows: Iterable[Sequence[str]]) -> str:
    """Write rows, the first of which is the head."""
    return markdown_table(list(rows))


def recorded_table(name: str) -> str:
    """Write a table of ``benchmarks`` as it is."""
    with (DOCS.parent / "benchmarks" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return table(csv.reader(file))


def readme_code() -> str:
    """Repeat the first lines of Python in the README."""
    return re.findall(r"^```python\n.*?^```", (DOCS.parent / "README.md").read_text("utf-8"), re.M | re.S)[0]


PARTS: dict[str, Callable[[], str]] = {
    "ten lines": readme_code,
    "presets": lambda: table(from_code.preset_table()),
    "site features": lambda: table(from_code.site_feature_table()),
    "exit codes": lambda: table(from_code.exit_code_table()),
    "modules": lambda: table(from_code.module_table()),
    "scaling source": from_benchmarks.source,
}
"""How each part is made; besides them there are ``scaling TABLE``, ``help COMMAND`` and records by their names."""


def part(name: str) -> str:
    """Make a part."""
    kind, _, which = name.partition(" ")
    if name in PARTS:
        return PARTS[name]()
    if kind == "help":
        return f"```text\n{from_code.command_help(which).rstrip()}\n```"
    if kind == "scaling":
        return table(from_benchmarks.scaling_rows(which))
    if name in from_decisions.TABLES:
        source, rows, words = from_decisions.measured(name)
        return "\n\n".join([source, table(rows), words])
    return recorded_table(name)


def renewed(text: str) -> str:
    """Give the text of a page with each of its parts as it is now."""
    # Blank lines keep a table apart from the comments, which would be taken for its rows.
    return _PART.sub(lambda found: f"{found[1]}{found[2]}\n{part(found[1])}\n\n", text)


def main(arguments: Sequence[str]) -> None:
    """Write pages anew, all of them unless some are named, and the picture of the layers."""
    for page in map(Path, arguments) if arguments else PAGES:
        page.write_text(renewed(page.read_text("utf-8")), "utf-8")
    if not arguments:
        HOUSE.write_text(house_svg(storeys()) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
