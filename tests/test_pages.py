"""The pages as they are read where the code is kept: links, tables, and nothing that only Sphinx understands."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "howto").glob("*.md")])
MARKDOWN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *ROOT.glob("[be]*/README.md")]


def anchors(page):
    """The anchors that a forge makes of the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*MARKDOWN, *PAGES], ids=lambda page: f"{page.parent.name}/{page.name}")
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```|`[^`\n]+`", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)\s]*)\)", text) + re.findall(r'<img src="([^"]*)"', text)
    for link in (link for link in links if not link.startswith("https://")):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_can_be_read_without_sphinx():
    reference = {"api.md", "inside.md", "changes.md"}  # made of docstrings, and of the list of changes
    directive_or_role = re.compile(r"^\s*(?:```\{.*|:::.*|\.\. .*::)|\{\w+\}`|:\w+:`", re.MULTILINE)
    for page in (page for page in PAGES if page.name not in reference):
        assert directive_or_role.findall(page.read_text("utf-8")) == [], page


def test_what_pages_show_of_records_and_code_is_as_it_is_now(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    made = importlib.import_module("made")
    assert sum(page.read_text("utf-8").count("<!-- made: ") for page in made.PAGES) > 30
    stale = [page.name for page in made.PAGES if made.renewed(page.read_text("utf-8")) != page.read_text("utf-8")]
    assert stale == [], "python docs/made.py writes them anew"
    assert made.HOUSE.read_text("utf-8") == made.house_svg(made.storeys()) + "\n"
