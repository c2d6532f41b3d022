"""`skdim info` knows every file that skdim writes, and names damaged ones."""

import json
import re
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save_file
from sklearn.linear_model import Ridge

from skdim import (
    CrystalClassifier,
    CrystalPointSetTransformer,
    CrystalRegressor,
    DeepInfoMaxEmbedder,
    LabelMaskingRegressor,
    SiteNetRegressor,
    __version__,
)
from skdim._crystalpredictor import _KEY, _digest, read_model
from skdim.cli import main
from skdim.cli.exits import BAD_INPUT, OK
from skdim.plotting import new_figure, png
from tests.small import bundled

N = 30


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """One file of each kind, made by the code that users call."""
    folder = tmp_path_factory.mktemp("info")
    crystals = bundled(N)[0]
    labels = np.random.default_rng(0).random(N)
    embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0, checkpoint_dir=folder / "state").fit(crystals)
    embedder.save(folder / "embedder")
    SiteNetRegressor(embedder, max_epochs=1, random_state=0).fit(crystals, labels).save(folder / "tuned")
    LabelMaskingRegressor(embedder, Ridge()).fit(crystals, labels).save(folder / "masking")
    CrystalRegressor(embedder, regressors=["ridge"], random_state=0).fit(crystals, labels).save(folder / "fitted.skdim")
    kinds = np.where(labels > 0.5, "hard", "soft")
    CrystalClassifier(embedder, regressors=["ridge"], random_state=0).fit(crystals, kinds).save(folder / "kinds.skdim")
    CrystalPointSetTransformer().transform(crystals).save(folder / "points")
    for name in ("v.parquet", "v.npy"):
        words = ["embed", str(folder / "embedder"), "bundled:piezoelectric", "--out", str(folder / name), "--quiet"]
        assert main(words) == OK
    crystals[0].to(filename=str(folder / "one.cif"))
    for name in ("p.parquet", "p.csv"):
        words = [
            "predict",
            str(folder / "fitted.skdim"),
            str(folder / "one.cif"),
            "--out",
            str(folder / name),
            "--quiet",
        ]
        assert main(words) == OK
    (folder / "curves.png").write_bytes(png(new_figure()))
    return folder


KINDS = {
    "embedder": ("embedder", {"data": {"rows": N, "failed": 0}, "epochs": 1}),
    "tuned": ("fine-tuned regressor", {"epochs": 1}),
    "masking": ("label-masking model", {"labelled": N}),
    "fitted.skdim": ("CrystalRegressor", {"labelled": N}),
    "kinds.skdim": ("CrystalClassifier", {"labelled": N, "classes": ["hard", "soft"], "chosen": "ridge"}),
    "state/checkpoint.safetensors": ("checkpoint of a training", {"epochs": 1}),
    "points": ("folder of point sets", {"crystals": N, "failed": 0}),
    "v.parquet": ("table of vectors", {"rows": 941}),
    "v.npy": ("table of vectors", {"rows": 941, "ids": 941}),
    "p.parquet": ("table", {"rows": 1}),
    "p.csv": ("table", {"rows": 1}),
    "curves.png": ("picture", {"versions": {"skdim": __version__}}),
}


@pytest.mark.parametrize("kind", [7, None, [], {}, ""])
def test_a_kind_that_is_no_name_is_a_damaged_file(place, tmp_path, capsys, kind):
    header, arrays = read_model(place / "fitted.skdim")
    text = json.dumps({**header, "kind": kind})
    save_file(arrays, tmp_path / "m", {_KEY: text, "sha256": _digest(text, arrays)})
    assert main(["info", str(tmp_path / "m")]) == BAD_INPUT
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_is_known(place, capsys, name):
    kind, expected = KINDS[name]
    assert main(["info", str(place / name), "--json"]) == OK
    facts = json.loads(capsys.readouterr().out)
    assert facts["kind"] == kind
    assert {key: facts[key] for key in expected} == expected
    assert main(["info", str(place / name)]) == OK
    text = capsys.readouterr().out
    assert f"kind{' ' * (text.splitlines()[0].index(str(place)) - 4)}{kind}\n" in text
    assert "e+" not in text
    assert "[" not in text.replace("['", "")


def test_of_a_fitted_model_it_tells_the_regressor_and_the_errors_lowest_first(place, capsys):
    assert main(["info", str(place / "fitted.skdim")]) == OK
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("targets"))
    words = re.search(
        r"ridge(?: on the scale \w+)?, chosen by errors of (\w+) ([\d.]+), (\w+) ([\d.]+)( decades)?$", line
    )
    assert {words[1], words[3]} == {"ridge", "guess"}
    assert float(words[2]) <= float(words[4])


def test_of_classes_it_tells_which_they_are_and_the_log_losses(place, capsys):
    assert main(["info", str(place / "kinds.skdim")]) == OK
    said = capsys.readouterr().out
    assert re.search(r"^classes +hard, soft$", said, re.MULTILINE)
    assert re.search(r"^chosen +ridge, by log losses of (ridge|guess) \S+, (ridge|guess) \S+$", said, re.MULTILINE)


def test_of_logarithms_it_tells_the_errors_by_which_the_regressor_was_chosen(tmp_path, capsys):
    crystals = bundled(N)[0]
    labels = 10.0 ** np.random.default_rng(0).normal(0, 3, N)
    model = CrystalRegressor("bundled", regressors=["ridge", "laplacian"], random_state=0).fit(crystals, labels)
    assert min(model.losses_[0], key=model.losses_[0].get) in (model.chosen_[0], "median")
    model.save(tmp_path / "m.skdim")
    assert CrystalRegressor.load(tmp_path / "m.skdim").losses_ == model.losses_
    assert main(["info", str(tmp_path / "m.skdim")]) == OK
    said = capsys.readouterr().out
    for name in ("ridge", "laplacian"):
        assert f"{name} {model.losses_[0][name]:.4g}" in said
    assert re.search(r"on the scale log10, chosen by errors of .* decades$", said, re.MULTILINE)
    assert "decades" in model._repr_html_()


@pytest.mark.parametrize("name", [name for name in KINDS if name not in ("points", "v.npy", "p.csv", "curves.png")])
def test_damaged_files_are_named(place, tmp_path, capsys, name):
    content = (place / name).read_bytes()
    damaged = tmp_path / "damaged"
    damaged.write_bytes(content[: len(content) // 2])
    assert main(["info", str(damaged)]) == BAD_INPUT
    log = capsys.readouterr().err
    assert f"skdim: error: {str(damaged)!r} " in log
    assert "Traceback" not in log


def test_what_a_load_refuses_is_refused_though_its_digest_is_right(place, tmp_path, capsys):
    header, arrays = read_model(place / "fitted.skdim")
    arrays["0/0/numbers"] = -arrays["0/0/numbers"]
    text = json.dumps(header)
    save_file(arrays, tmp_path / "a.skdim", {_KEY: text, "sha256": _digest(text, arrays)})
    with zipfile.ZipFile(place / "masking") as archive, zipfile.ZipFile(tmp_path / "b", "w") as other:
        facts = {**json.loads(archive.read("model.json")), "n_labels": -1}
        other.writestr("model.json", json.dumps(facts))
        for name in set(archive.namelist()) - {"model.json"}:
            other.writestr(name, archive.read(name))
    for name, words in (("a.skdim", "alpha must be"), ("b", "n_labels must be")):
        assert main(["info", str(tmp_path / name)]) == BAD_INPUT
        assert words in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", b"\x00" * 8 + b"{"])
def test_other_files_are_refused(tmp_path, capsys, content):
    (tmp_path / "x").write_bytes(content)
    assert main(["info", str(tmp_path / "x")]) == BAD_INPUT
    assert str(tmp_path / "x") in capsys.readouterr().err
    assert main(["info", str(tmp_path)]) == BAD_INPUT
