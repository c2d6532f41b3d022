"""In a notebook: objects show themselves as tables, bars work with and without widgets, and the quick start runs."""

import sys
from html.parser import HTMLParser

import pytest

from skdim import CrystalPointSetTransformer
from skdim._progress import Progress
from skdim.evaluation import ErrorRatio
from tests.handmade import perovskite, salt


def cells(html):
    """Texts of the cells of a table, by the name of their row."""

    class Reader(HTMLParser):
        texts: list[str] = []  # noqa: RUF012

        def handle_data(self, data):
            self.texts.append(data)

    reader = Reader()
    reader.texts = []
    reader.feed(html)
    _, *texts = reader.texts
    return dict(zip(texts[::2], texts[1::2], strict=True))


def test_point_sets_show_their_sizes():
    points = CrystalPointSetTransformer(on_error="nan").fit_transform([salt(), perovskite()])
    shown = cells(points._repr_html_())
    assert shown["crystals"] == "2"
    assert shown["pairs"] == f"{len(points.neighbor):,}"
    assert shown["site features"].split(", ") == list(points.feature_names)
    assert shown["neighborhood"] == "shell"


@pytest.mark.filterwarnings("ignore:.*cannot be used")
def test_point_sets_show_what_failed():
    points = CrystalPointSetTransformer(on_error="nan").fit_transform([salt(), "missing.cif"])
    assert cells(points._repr_html_())["crystals"] == "2, 1 of them failed"


def test_a_ratio_of_errors_shows_its_interval_and_its_cells():
    ratio = ErrorRatio(0.9, 0.85, 0.95, {("energy", 50): 0.88, ("<gap>", 100): 0.92})
    assert cells(ratio._repr_html_()) == {
        "all": "0.900 (95%: 0.850 to 0.950)",
        "energy, 50 labels": "0.880",
        "<gap>, 100 labels": "0.920",
    }


def test_without_widgets_a_notebook_gets_a_bar_of_text_and_no_warning(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ipykernel", sys)  # as in a kernel
    monkeypatch.setattr("skdim._progress.find_spec", lambda name: None)
    with Progress("working", "steps", 2, enabled=True) as progress:
        progress.update()
        progress.update()
    assert "2/2" in capsys.readouterr().err
