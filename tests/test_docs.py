"""What the pages and the README show: their code runs as it stands, their commands and links exist."""

import doctest
import importlib
import re
import shlex
from pathlib import Path

import pytest

from skdim.cli.program import build_parser

ROOT = Path(__file__).parent.parent
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "howto").glob("*.md")])
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def found(pattern, *pages):
    """All that the pattern finds on the pages, at least one."""
    matches = [match for page in pages for match in re.findall(pattern, page.read_text(), re.MULTILINE | re.DOTALL)]
    assert matches, pattern
    return matches


@pytest.mark.filterwarnings("ignore:.*cannot be used")  # shown on purpose, for rows that fail
@pytest.mark.parametrize("page", [page for page in PAGES if ">>>" in page.read_text()], ids=lambda page: page.stem)
def test_the_code_on_a_page_gives_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = re.sub(r"^```.*$", "", page.read_text("utf-8"), flags=re.MULTILINE)  # a fence would pass for output
    test = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, page.name, str(page), 0)
    result = doctest.DocTestRunner(optionflags=FLAGS).run(test)
    assert result.attempted
    assert not result.failed


def test_the_guide_has_code_to_run():
    assert len(found(r"^>>> ", ROOT / "docs" / "guide.md")) > 50


def test_the_code_in_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in found(r"^```python\n(.*?)^```", ROOT / "README.md"):
        exec(block, names)
    assert 0.5 < float(capsys.readouterr().out) < 1  # the score it prints
    assert "dim_raw_Electronegativity_mean" in names["frame"]


def test_commands_are_understood():
    for line in found(r"^\s*\$ skdim ((?:\\\n|[^\n])*)", ROOT / "README.md", *PAGES):
        build_parser().parse_args(shlex.split(line.replace("\\\n", " "), comments=True))


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = found(r"(?:`|\$ )make ([a-z-]+)", ROOT / "README.md", *PAGES)
    assert set(named) <= targets


def test_the_list_of_examples_is_that_of_the_gallery_in_its_order(monkeypatch):
    pytest.importorskip("sphinx_gallery")
    monkeypatch.syspath_prepend(ROOT / "docs")
    story = list(importlib.import_module("gallery_order").STORY)
    page = ROOT / "examples" / "README.md"
    assert found(r"\]\((plot_\w+\.py)\)", page) == story
    assert sorted(story) == sorted(path.name for path in page.parent.glob("plot_*.py"))
    for title, name in found(r"^\d+\. \[([^\]]+)\]\((plot_\w+\.py)\)", page):
        assert (page.parent / name).read_text("utf-8").splitlines()[1].startswith(title)


def test_the_picture_of_the_house_shows_every_module_of_the_contracts(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    house = importlib.import_module("house")
    shown = house.house_svg(house.storeys())
    names = {file.stem for package in ("points", "network") for file in (ROOT / "skdim" / package).glob("*.py")}
    names |= {
        path.stem for path in (ROOT / "skdim").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    for name in names - {"__init__"}:
        assert re.search(rf"\b{name}\b", shown), name


def home_of(module):
    """File of a module, or folder of a package."""
    path = ROOT.joinpath(*module.split("."))
    return path if path.is_dir() else path.with_suffix(".py")


def test_what_one_touches_to_add_something_is_where_the_page_says():
    (table,) = found(r"^## I want to add \.\.\.\n(.*?)^## Commands\n", ROOT / "docs" / "developing.md")
    rows = re.findall(r"^\| ([^|]+?) +\| (.*?) +\|$", table, re.MULTILINE)[1:]  # below the line under the head
    assert len(rows) > 20
    for wanted, touched in rows[1:]:
        files = [ROOT / path for path in re.findall(r"`([\w./]+/[\w./]+)`", touched)]
        files += map(home_of, re.findall(r"`(skdim\.[\w.]+)`", touched))
        assert [str(file) for file in files if not file.exists()] == [], wanted
        inside = [one for file in files for one in ([file] if file.is_file() else file.rglob("*.py"))]
        text = "".join(one.read_text("utf-8") for one in [*inside, ROOT / "pyproject.toml"])
        names = set(re.findall(r"`([A-Za-z_]\w*(?:\.\w+)?)`", touched)) - set(re.findall(r"`(skdim\.\w+)`", touched))
        for name in (one for one in names if not (ROOT / one).exists()):
            for part in name.split("."):
                assert re.search(rf"\b{part}\b", text), (wanted, name)


@pytest.mark.parametrize(
    ("page", "row"),
    [
        ("README.md", "best regressor"),
        ("README.md", "fine tuned, 50, 100 and 250 labels"),
        ("docs/howto/when_not.md", "best regressor"),
    ],
)
def test_what_pretraining_adds_is_said_as_it_was_measured(page, row):
    pattern = rf"^\| default / default untrained, {row} +\| ([\d.]+) \(95%: ([\d.]+ to [\d.]+)\)"
    ratio, interval = found(pattern, ROOT / "docs" / "results.md")[0]
    told = " ".join((ROOT / page).read_text("utf-8").split())
    assert re.search(rf"{ratio} times \((95%: )?{interval}\)", told)


def test_what_the_pretraining_of_the_shipped_model_adds_is_said_as_it_was_measured():
    shipped, results = ROOT / "docs" / "shipped.md", ROOT / "docs" / "results.md"
    untrained = found(r"^### Divided by untrained\n\n(.*?)\n\n", shipped)[0]
    vectors = [
        re.search(rf"^\| {task} +\| [^|]*\| ([\d.]+)", untrained, re.MULTILINE)[1]
        for task in ("all three", "band gap, large set")
    ]
    beside = re.findall(r"([\d.]+) \(", found(r"^\| all 4 +\|[^\n]*", shipped)[0])
    (tuned,) = found(r"^Geometric means: .*have ([\d.]+), over all 12 cells ([\d.]+)\.", results)
    row = found(r"^\| 120,000 crystals: .*?\|(.*)$", ROOT / "README.md")[0].splitlines()[0]
    said = re.findall(r"\d\.\d\d", row)
    assert said == [f"{float(ratio):.2f}" for ratio in (*vectors, beside[2], *tuned)]
    (others,) = found(r"On four\s+other properties(.*?)\. \[What", ROOT / "README.md")
    assert re.findall(r"\d\.\d\d", others) == [f"{float(ratio):.2f}" for ratio in beside[:2]]


def test_the_headline_of_the_readme_is_what_its_command_prints(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    importlib.import_module("headline").main([])
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    (shown,) = found(r"<!-- headline -->\n(.*?)\n<!-- /headline -->", ROOT / "README.md")
    assert shown.splitlines() == printed
