"""`skdim fit` and `skdim predict` on a folder of files and a table, as a newcomer uses them."""

import errno
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pymatgen.io.cif import CifWriter

from skdim import CrystalRegressor
from skdim.cli import main
from skdim.cli.exits import BAD_INPUT, OK, SOME_FAILED
from skdim.cli.fitting import _unless_alone
from skdim.cli.modelfile import facts_of
from skdim.cli.predict import _write
from skdim.datasets import load_elastic_moduli

N = 60


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Files, some of them disordered, a table of labels, and a model that the command has fitted."""
    folder = tmp_path_factory.mktemp("fit")
    bunch = load_elastic_moduli(target="K_VRH")
    (folder / "cifs" / "deep").mkdir(parents=True)
    (folder / "new").mkdir()
    rows = ["code,K,family"]
    for k in range(N + 10):
        crystal, name = bunch.data[k].copy(), bunch.material_id[k]
        if k % 10 == 0:
            first = crystal.composition.elements[0]
            crystal.replace_species({first: {first: 0.5, "Rb": 0.5}})
        where = "new" if k >= N else ("cifs/deep" if k % 2 else "cifs")
        CifWriter(crystal).write_file(folder / where / f"{name}.cif")
        if k < N:
            label = f"{bunch.target[k]:.5g}" if k else f"<{bunch.target[k] * 2:.5g}"
            rows.append(f"{name}{'.cif' if k % 3 else ''},{label},{k % 7}")
    (folder / "cifs" / "=cmd|' !A0.cif").write_text((folder / "cifs" / f"{bunch.material_id[0]}.cif").read_text())
    (folder / "cifs" / "broken.cif").write_text("data_x\n_cell_length_a 3\n")
    (folder / "labels.csv").write_text("\n".join([*rows, "mp-none,3,0", f"{bunch.material_id[3]},oops,0"]))
    return folder


@pytest.fixture(scope="module")
def fitted(place) -> tuple[int, Path]:
    out = place / "model.skdim"
    words = ["fit", str(place / "cifs"), "--labels", str(place / "labels.csv"), "--target", "K", "--quiet"]
    return main([*words, "--out", str(out), "--id", "code", "--regressors", "ridge", "laplacian"]), out


def test_where_no_label_fits_it_is_said_which_crystals_could_not_be_read(tmp_path, capsys) -> None:
    (tmp_path / "t.csv").write_text('id,cell\na,"[[3,0,0],[0,3,0],[0,0,3]]"\n')
    (tmp_path / "l.csv").write_text("id,y\na,1\n")
    words = [str(tmp_path / "t.csv"), "--labels", str(tmp_path / "l.csv"), "--target", "y"]
    assert main(["fit", *words, "--out", str(tmp_path / "m.skdim")]) == BAD_INPUT
    said = capsys.readouterr().err
    assert "fits a crystal" in said
    assert "1 of 1 crystals cannot be read:" in said
    assert "t.csv: a table that cannot be read: no column holds crystals" in said


def test_fit_writes_a_model_and_a_report_that_says_what_did_not_fit(fitted) -> None:
    code, out = fitted
    assert code == SOME_FAILED
    model = CrystalRegressor.load(out)
    assert len(model.targets_[0].conformal.scores_) == N - 1  # one label is a bound
    assert model.errors_[0][model.chosen_[0]] < model.errors_[0]["median"] / 2
    page = Path(f"{out}.html").read_text()
    for words in ("mp-none", "broken.cif", "oops", "1 upper bound (such as", "Magpie", "data:image/png;base64"):
        assert words in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page
    assert facts_of(f"{out}.html").items() >= {"kind": "page", "title": "K: what the labels teach"}.items()


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "page")


def test_where_the_second_output_has_no_room_the_first_is_not_written(
    place: Path, fitted: tuple[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["--labels", str(place / "labels.csv"), "--target", "K", "--id", "code", "--regressors", "ridge", "--quiet"]
    with monkeypatch.context() as patch:
        patch.setattr("skdim.cli.fitpage._write", full)
        assert main(["fit", str(place / "cifs"), *given, "--out", str(tmp_path / "m.skdim")]) == BAD_INPUT
    frame = pd.DataFrame({"id": ["a"]})
    with pytest.raises(IsADirectoryError):
        _write(frame, tmp_path / "p.csv", [frame.rename(columns={"id": "crystal"})], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_predictions_are_explained_in_a_table_whose_parts_sum_to_them(place, fitted) -> None:
    table, why = place / "explained.csv", place / "why.csv"
    words = ["predict", str(fitted[1]), str(place / "new"), "--quiet", "--out", str(table), "--explain"]
    assert main([*words, str(place / "why.txt")]) == BAD_INPUT
    assert main([*words, str(why)]) == 0
    found, predicted = pd.read_csv(why), pd.read_csv(table).set_index("id")["prediction"]
    assert found.columns.tolist() == ["id", "part", "name", "share", "contribution"]
    for part in ("kind", "element", "site"):
        summed = found[found["part"].isin(["start", part])].groupby("id")["contribution"].sum()
        np.testing.assert_allclose(summed[predicted.index], predicted, rtol=1e-3)


def test_predict_writes_a_row_for_each_input_that_no_spreadsheet_obeys(place, fitted) -> None:
    _, out = fitted
    table = place / "predictions.csv"
    words = ["predict", str(out), str(place / "new"), str(place / "cifs"), "--quiet", "--out", str(table)]
    assert main(words) == BAD_INPUT  # one file is broken
    assert not table.exists()
    assert main([*words, "--on-error", "nan"]) == SOME_FAILED
    found = pd.read_csv(table)
    assert found.columns.tolist() == [
        "id", "prediction", "lower", "upper", "distance", "percentile", "nearest_1", "nearest_2", "nearest_3",
        "pretraining_percentile", "flags",
    ]  # fmt: skip
    assert len(found) == N + 12
    usable = found[found["prediction"].notna()]
    assert len(found) - len(usable) == 1
    assert (usable["lower"] < usable["upper"]).all()
    assert not found["id"].str.startswith(("=", "+", "-", "@")).any()
    own = usable[usable["id"].str.contains("/cifs/")]
    assert (own["distance"] < 1e-6).mean() > 0.9
    assert main([*words[:-1], str(place / "p.parquet"), "--on-error", "nan", "--coverage", "0.5"]) == SOME_FAILED
    exact = pd.read_parquet(place / "p.parquet")
    np.testing.assert_allclose(exact["prediction"], found["prediction"], rtol=1e-5)
    assert (exact["upper"] - exact["lower"]).mean() < (found["upper"] - found["lower"]).mean()


def test_members_of_an_archive_and_groups_of_a_column(place, tmp_path, capsys) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in sorted((place / "cifs").rglob("mp-*.cif"))[:30]:
            archive.write(file, f"inside/{file.name}")
    words = ["fit", str(tmp_path / "set.zip"), "--labels", str(place / "labels.csv"), "--target", "K", "--quiet"]
    words += ["--groups", "family", "--regressors", "ridge", "--out", str(tmp_path / "m.skdim")]
    assert main(words) != BAD_INPUT
    assert "7 folds of whole groups (7 groups)" in capsys.readouterr().out


@pytest.mark.parametrize("given", [["--target", "K,log K"], ["--target", "K", "--target", "log K (GPa)"]])
def test_two_targets_are_learned_each_from_the_crystals_it_is_known_of(place, tmp_path, capsys, given) -> None:
    table = pd.read_csv(place / "labels.csv", dtype=str)
    table["log K (GPa)"] = np.log10(pd.to_numeric(table["K"], errors="coerce")).where(table.index % 3 > 0)
    table.to_csv(tmp_path / "both.csv", index=False)
    out = tmp_path / "both.skdim"
    words = ["fit", str(place / "cifs"), "--labels", str(tmp_path / "both.csv"), *given, "--regressors", "ridge"]
    assert main([*words, "--out", str(out), "--quiet"]) == SOME_FAILED
    said = capsys.readouterr().out
    second = given[-1].split(",")[-1]
    assert f"{second}: " in said
    model = CrystalRegressor.load(out)
    assert model.target_names_ == ["K", second]
    assert len(model.targets_[1].rows) < len(model.targets_[0].rows)
    assert Path(f"{out}.html").read_text().count("<h1>") == 2
    words = ["predict", str(out), str(place / "new"), "--out", str(tmp_path / "p.csv")]
    assert main([*words, "--explain", str(tmp_path / "e.csv")]) == 0
    assert {"prediction_K", f"lower_{second}"} <= set(pd.read_csv(tmp_path / "p.csv").columns)
    assert set(pd.read_csv(tmp_path / "e.csv")["target"]) == {"K", second}
    words = ["suggest", str(out), str(place / "new"), "--quiet", "--n", "2", "--goal", "best", "--target"]
    assert main([*words, second]) == 0
    assert main([*words, "none"]) == BAD_INPUT
    words = ["fit", str(place / "cifs"), "--labels", str(tmp_path / "both.csv"), *given, "--task", "classification"]
    assert main([*words, "--out", str(tmp_path / "c.skdim")]) == BAD_INPUT
    assert "learns one target at a time" in capsys.readouterr().err


def test_of_several_models_that_with_the_lower_error_is_kept_and_the_report_says_so(place, tmp_path, capsys) -> None:
    words = ["fit", str(place / "cifs"), "--labels", str(place / "labels.csv"), "--target", "K", "--id", "code"]
    words += ["--regressors", "ridge"]
    errors = {}
    for names in ("bundled", "materials_project_labels", "bundled,materials_project_labels"):
        out = tmp_path / "m.skdim"
        assert main([*words, "--model", names, "--out", str(out)]) == SOME_FAILED
        errors[names] = CrystalRegressor.load(out).errors_[0]["ridge"]
    both = errors["bundled,materials_project_labels"]
    said, page = capsys.readouterr().out, Path(f"{out}.html").read_text()
    for words in ("chosen by its error by cross-validation", "bundled 0."):
        assert words in said
        assert words in page
    chosen = re.findall(r"vectors: (\w+), chosen by", said)[-1]
    shares = {name: float(share) for name, share in re.findall(r"(bundled|materials_project_labels) (0\.\d+)", said)}
    assert len(shares) == 2
    assert shares[chosen] == min(shares.values())
    assert both == errors[chosen]
    if chosen == "materials_project_labels":
        assert "has learned from computed formation energies" in page


def test_fine_tuning_is_tried_and_its_time_said_unless_it_takes_long(place, tmp_path, capsys, monkeypatch) -> None:
    words = ["fit", str(place / "cifs"), "--labels", str(place / "labels.csv"), "--target", "K", "--id", "code"]
    assert main([*words, "--regressors", "ridge,fine-tuning", "--out", str(tmp_path / "m.skdim")]) == SOME_FAILED
    said = capsys.readouterr()
    assert "fine-tuning " in said.out
    assert CrystalRegressor.load(tmp_path / "m.skdim").errors_[0].keys() == {"median", "ridge", "fine-tuning"}
    monkeypatch.setattr("skdim._finetuned.seconds", lambda points: 100.0)
    monkeypatch.setattr("skdim.cli.fitting.QUICK", ("ridge",))
    assert main([*words, "--out", str(tmp_path / "m.skdim")]) == SOME_FAILED
    assert "fine-tuning was not tried, as it would take about 1 min 40 s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--target": "Q"}, "--target 'Q' is no column"),
        ({"--labels": "none.csv"}, "is not a file"),
        ({"--model": "nothing"}, "'nothing' is not a file"),
        ({"--regressors": "ridge,svm"}, "be among ridge, laplacian, gaussian, trees, fine-tuning, got 'ridge,svm'"),
        ({"--target": "family", "--id": "K"}, "no row of"),
    ],
)
def test_arguments_that_cannot_be_used(place, tmp_path, capsys, change: dict, words: str) -> None:
    given = {"--labels": str(place / "labels.csv"), "--target": "K", "--out": str(tmp_path / "m.skdim"), **change}
    assert main(["fit", str(place / "cifs"), *(word for pair in given.items() for word in pair)]) == BAD_INPUT
    assert words in capsys.readouterr().err
    assert not (tmp_path / "m.skdim").exists()


def test_too_few_labels_are_said_with_the_least_that_is_needed(place, tmp_path, capsys) -> None:
    (tmp_path / "few.csv").write_text("\n".join((place / "labels.csv").read_text().splitlines()[:5]))
    words = ["fit", str(place / "cifs"), "--labels", str(tmp_path / "few.csv"), "--target", "K"]
    assert main([*words, "--out", str(tmp_path / "m.skdim")]) == BAD_INPUT
    said = capsys.readouterr().err
    assert "'K' has 3 labelled usable rows beside 1 that are bounds only; at least 10 are needed" in said


def test_what_is_no_model_is_refused(place, tmp_path, capsys) -> None:
    for name in ("labels.csv", "none"):
        words = ["predict", str(place / name), str(place / "new"), "--out", str(tmp_path / "p.csv")]
        assert main(words) == BAD_INPUT
    assert main(["predict", "x", str(place / "new"), "--out", str(tmp_path / "p.xlsx")]) == BAD_INPUT
    assert "must end in .csv or .parquet" in capsys.readouterr().err


def test_suggest_prints_and_writes_crystals_that_are_not_labelled_yet(place, fitted, tmp_path, capsys) -> None:
    _, out = fitted
    words = ["suggest", str(out), str(place / "new"), str(place / "cifs"), "--quiet", "--on-error", "nan", "--n", "4"]
    assert main(words) == SOME_FAILED
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if not line.startswith(" ")]) == 5  # a head and four crystals, beside flags
    assert max(map(len, lines)) <= 100
    for goal in ("information", "best", "both"):
        assert main([*words, "--goal", goal, "--out", str(tmp_path / "next.csv")]) == SOME_FAILED
        found = pd.read_csv(tmp_path / "next.csv")
        assert len(found) == 4
        assert found["id"].str.contains("/new/").all()
    assert main([*words, "--goal", "best", "--smallest", "--out", str(tmp_path / "s.csv")]) == SOME_FAILED
    down = pd.read_csv(tmp_path / "s.csv")
    assert down["prediction"][0] < found["prediction"][0]
    capsys.readouterr()
    assert main([word for word in words if word != "--quiet"]) == SOME_FAILED
    assert "chosen for --goal information: those that tell most about all of them" in capsys.readouterr().err
    assert main([*words, "--n", "500"]) == SOME_FAILED
    said = capsys.readouterr()
    n = len([line for line in said.out.splitlines() if not line.startswith(" ")]) - 1
    assert f"skdim: {n} of 500: no other crystal is usable and without a label" in said.err
    assert main(["info", str(out)]) == OK
    assert re.search(r"^targets +K: \w+.*, chosen by errors of", capsys.readouterr().out, re.MULTILINE)


def test_classes_of_a_table_are_learned_and_predicted(place, tmp_path, capsys) -> None:
    table = pd.read_csv(place / "labels.csv", dtype=str)
    table["kind"] = np.where(pd.to_numeric(table["K"], errors="coerce") > 100, "hard", "soft")
    table.drop_duplicates("code").iloc[:-1].to_csv(tmp_path / "kinds.csv", index=False)
    words = ["fit", str(place / "cifs"), "--labels", str(tmp_path / "kinds.csv"), "--target", "kind", "--quiet"]
    words += ["--regressors", "ridge", "--out", str(tmp_path / "k.skdim")]
    assert main(words) == BAD_INPUT
    assert "has no number for any of the crystals; --task classification" in capsys.readouterr().err
    words += ["--task", "classification"]
    assert main(words) == SOME_FAILED
    assert "of 2 classes; chosen: ridge" in capsys.readouterr().out
    predicted = tmp_path / "p.csv"
    words = ["predict", str(tmp_path / "k.skdim"), str(place / "new"), "--quiet", "--out", str(predicted)]
    assert main([*words, "--on-error", "nan", "--explain", str(tmp_path / "why.csv")]) != BAD_INPUT
    found = pd.read_csv(predicted)
    assert set(found["prediction"]) <= {"hard", "soft"}
    why = pd.read_csv(tmp_path / "why.csv")
    odds = why[(why["part"] == "sum") & (why["class"] == "hard")].set_index("id")["contribution"]
    shares = found.set_index("id")["probability_hard"].dropna()
    np.testing.assert_allclose(odds[shares.index], np.log(shares / (1 - shares)), rtol=1e-3, atol=1e-3)
    assert main(["suggest", str(tmp_path / "k.skdim"), str(place / "new"), "--on-error", "nan"]) == BAD_INPUT


@pytest.mark.parametrize(("load", "said"), [(0.5, ""), (30.0, "; longer, as 30 processes share")])
def test_a_busy_machine_is_told_of_where_times_are_told(load: float, said: str, monkeypatch) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (load, load, load), raising=False)
    assert _unless_alone().startswith(said)
    assert bool(_unless_alone()) == bool(said)
