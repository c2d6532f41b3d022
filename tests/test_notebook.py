"""In a notebook: objects show themselves as tables, bars work with and without widgets, and the quick start runs."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from skdim import CrystalPointSetTransformer, CrystalRegressor, DeepInfoMaxEmbedder
from skdim._progress import Progress
from skdim.evaluation import ErrorRatio
from tests.handmade import perovskite, salt

ROOT = Path(__file__).parent.parent


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


def test_a_fitted_estimator_shows_what_it_has_learned_below_its_diagram():
    values = np.linspace(1, 2, 12)
    crystals = [salt().scale_lattice(180 * value) for value in values]
    embedder = DeepInfoMaxEmbedder(max_epochs=0)
    assert "Fitted</caption>" not in embedder._repr_html_()
    regressor = CrystalRegressor(embedder.fit(crystals), regressors=["ridge"]).fit(crystals, values)
    for estimator in (embedder, regressor):
        _, start, below = estimator._repr_mimebundle_()["text/html"].partition("<table><caption>Fitted")
        assert estimator._repr_html_().endswith(start + below)
        table = cells(start + below)
        if estimator is embedder:
            assert table["crystals"] == "12"
            assert table["epochs"] == "0, untrained"
        else:
            assert table["target"].startswith("12 labels; ridge, error ")


def test_a_ratio_of_errors_shows_its_interval_and_its_cells():
    ratio = ErrorRatio(0.9, 0.85, 0.95, {("energy", 50): 0.88, ("<gap>", 100): 0.92})
    assert cells(ratio._repr_html_()) == {
        "all": "0.900 (95%: 0.850 to 0.950)",
        "energy, 50 labels": "0.880",
        "<gap>, 100 labels": "0.920",
    }


def test_without_widgets_a_notebook_gets_a_bar_of_text_and_no_warning(monkeypatch, capsys):
    monkeypatch.setattr("skdim._progress._in_notebook", lambda: True)
    monkeypatch.setattr("skdim._progress.find_spec", lambda name: None)
    with Progress("working", "steps", 2, enabled=True) as progress:
        progress.update()
        progress.update()
    assert "2/2" in capsys.readouterr().err


def run_notebook(notebook, folder):
    """Run the cells in a kernel of their own."""
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}}
    )
    return client.execute()


@pytest.mark.slow
def test_the_notebook_of_the_quick_start_runs_and_shows_its_pictures(tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    blocks = pytest.importorskip("sphinx_gallery.py_source_parser")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    _, parts = blocks.split_code_and_text_blocks(ROOT / "examples" / "plot_quickstart.py")
    code = [text for kind, text, *_ in parts if kind == "code"]
    head = "%matplotlib inline\nimport warnings\nwarnings.simplefilter('error', UserWarning)"
    fit = next(k for k, text in enumerate(code) if ".fit(structures)" in text)
    code[fit] = code[fit].replace(
        "DeepInfoMaxEmbedder(random_state=0)", "DeepInfoMaxEmbedder(random_state=0, verbose=1)"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in (head, *code)])
    shown = run_notebook(notebook, str(tmp_path))
    outputs = [output for cell in shown.cells for output in cell.outputs]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 2  # losses and predictions
    bars = "".join(output.text for output in shown.cells[fit + 1].outputs if output.get("name") == "stderr")
    assert "pretraining" in bars or any("widget" in str(output.get("data")) for output in shown.cells[fit + 1].outputs)
    assert "Warning" not in bars
