"""Studies of a table: folds, what the encoders have seen, the other property, and what is made only once."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder, PointSets, SiteNetRegressor
from skdim.evaluation import REGRESSORS, label_efficiency
from skdim.exceptions import InputError
from skdim.study import tablepoints
from skdim.study.encoders import Encoders, ids_file
from skdim.study.finetuning import OTHER, PUBLISHED, OtherProperty, regressor_from
from skdim.study.plan import EPOCHS_OF
from skdim.study.recording import read_recording
from skdim.study.report import notes
from skdim.study.run import run_study
from skdim.study.tasks import load_table_tasks
from tests.study.tabled import write_cells

N = 120
SCORES = ["cv_mae", "mae", "rmse", "r2"]
PAPER = ["paper", "paper untrained", "paper other property"]


def study(out, tasks, **changes):
    usual = {
        "label_counts": [20],
        "features": ["magpie"],
        "regressors": ["ridge"],
        "n_repeats": 1,
        "fine_tuning_repeats": 1,
        "report": False,
    }
    return run_study(out, tasks=tasks, **{**usual, **changes})


def facts(out):
    return json.loads((out / "study.json").read_text())


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    return load_table_tasks(write_cells(tmp_path_factory.mktemp("table") / "table.parquet", N))


@pytest.fixture(scope="module")
def done(tmp_path_factory, tasks):
    """Folder and records of a study with the published preset, its controls and fine-tuning."""
    out = tmp_path_factory.mktemp("study")
    regressors = {"ridge": REGRESSORS["ridge"](), "fine_tuned": SiteNetRegressor(max_epochs=2)}
    epochs = {"paper": 1, OTHER: 1}
    return out, study(out, tasks, features=PAPER, regressors=regressors, starts=PAPER, max_epochs=epochs)


def test_every_start_is_there_frozen_and_fine_tuned_on_both_properties(done):
    out, records = done
    for task in ("energy", "volume"):
        for regressor in ("ridge", "fine_tuned"):
            own = records[(records["task"] == task) & (records["regressor"] == regressor)]
            assert own["features"].tolist() == PAPER
    made = facts(out)["pretraining"]
    assert made["paper"]["epochs"] == 1
    assert made["paper untrained"]["epochs"] == 0
    assert {name for name in made if OTHER in name} == {f"paper {OTHER}: energy", f"paper {OTHER}: volume"}
    assert facts(out)["settings"]["starts"] == PAPER


def test_crystals_without_a_label_are_in_neither_fold_and_yet_pretrained_on(done, tasks):
    out, _ = done
    sizes = facts(out)["tasks"]["volume"]
    known = ~np.isnan(tasks[1].target)
    assert sizes["training_fold"] == (known & ~tasks[1].test_mask).sum()
    assert sizes["test_fold"] == (known & tasks[1].test_mask).sum()
    ids = np.array(tasks[0].material_id)
    model = out / facts(out)["pretraining"]["paper"]["file"]
    assert set(ids_file(model).read_text().split()) == set(ids[~tasks[0].test_mask])


def test_records_are_those_of_label_efficiency_where_all_are_labelled(done, tasks):
    out, records = done
    embedder = DeepInfoMaxEmbedder.load(out / facts(out)["pretraining"]["paper"]["file"])
    vectors = embedder.transform(list(tasks[0].structures))
    expected = label_efficiency(
        {"paper": vectors},
        tasks[0].target,
        tasks[0].test_mask,
        label_counts=[20],
        regressors=["ridge"],
        n_repeats=1,
    )
    own = records.query("task == 'energy' and features == 'paper' and regressor == 'ridge'")
    np.testing.assert_allclose(own[SCORES], expected[SCORES], rtol=1e-4)


def test_a_second_run_makes_nothing_anew(done, tasks, capsys):
    out, records = done
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    points = {path: path.stat().st_mtime_ns for path in (out / "points").rglob("*.npy")}
    assert len(list((out / "points").iterdir())) == 1  # both tasks have one set of crystals, and no part is left
    regressors = {"ridge": REGRESSORS["ridge"](), "fine_tuned": SiteNetRegressor(max_epochs=2)}
    epochs = {"paper": 1, OTHER: 1}
    again = study(out, tasks, features=PAPER, regressors=regressors, starts=PAPER, max_epochs=epochs, verbose=1)
    pd.testing.assert_frame_equal(again, records)
    assert "training on" not in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert {path: path.stat().st_mtime_ns for path in points} == points


def test_a_study_takes_the_parts_that_are_there(tmp_path, tasks, monkeypatch):
    monkeypatch.setattr(tablepoints, "PART", 50)
    crystals, featurizer = tasks[0].structures, CrystalPointSetTransformer(on_error="nan")
    whole = featurizer.transform(list(crystals))

    class Interrupted(CrystalPointSetTransformer):
        def transform(self, X):
            if X[0].id == crystals.ids[100]:
                raise KeyboardInterrupt
            return super().transform(X)

    with pytest.raises(KeyboardInterrupt):
        tablepoints.kept_points(crystals, Interrupted(on_error="nan"), tmp_path, print)
    (parts,) = tmp_path.glob("*-parts")
    kept = {path: path.stat().st_mtime_ns for path in parts.iterdir()}
    assert len(kept) == 2
    # Not made again: a part that is there counts, whatever it holds.
    whole[:50].save(parts / "000000050")
    found = tablepoints.kept_points(crystals, featurizer, tmp_path, print)
    assert found.equals(PointSets.concatenate([whole[:50], whole[:50], whole[100:]]))
    assert not parts.exists()


def test_features_of_parts_are_those_of_the_whole(tmp_path, tasks, monkeypatch):
    monkeypatch.setattr(tablepoints, "PART", 50)
    lengths = []

    def sites(part):
        lengths.append(len(part))
        return [[len(row.content), row.content.volume] for row in part]

    for _ in range(2):
        found = tablepoints.kept_features(tasks[0].structures, sites, tmp_path, "sites")
        np.testing.assert_allclose(found, sites(list(tasks[0].structures)))
    assert lengths == [50, 50, 20, N, N]


# Another property


def test_the_other_property_is_that_of_the_table_even_where_a_bundled_set_has_its_name(tmp_path):
    path = write_cells(tmp_path / "table.parquet", band_gap=np.linspace(0, 1, 60))
    energy, gap = load_table_tasks(path, ["energy", "band_gap"])
    encoders = Encoders([energy, gap], tmp_path / "models", 0, 0, None, 0, print)
    points, target = OtherProperty(encoders, SiteNetRegressor(), None, 0, print).labelled("band_gap", "paper")
    assert target.tolist() == gap.target[~gap.test_mask].tolist()
    assert points.settings["neighborhood"] == "supercell"


def test_the_published_encoder_is_fine_tuned_as_published():
    given = SiteNetRegressor(max_epochs=2)
    assert PUBLISHED.items() <= regressor_from("paper", given).get_params().items()
    assert regressor_from("default", given).get_params() == given.get_params()


# Encoders from elsewhere


def test_an_encoder_that_was_pretrained_elsewhere_is_used_and_said_to_be_unknown(done, tasks, tmp_path):
    out, records = done
    model = tmp_path / "mine.safetensors"
    shutil.copy(out / facts(out)["pretraining"]["paper"]["file"], model)
    shutil.copytree(out / "points", tmp_path / "out" / "points")
    found = study(tmp_path / "out", tasks, features=["paper"], pretrained={"paper": model})
    expected = records.query("features == 'paper' and regressor == 'ridge'")
    pd.testing.assert_frame_equal(found[SCORES], expected[SCORES].reset_index(drop=True))
    about = facts(tmp_path / "out")["pretraining"]["paper"]
    assert about["given"] == "mine.safetensors"
    assert about["crystals"] == (~tasks[0].test_mask).sum()
    assert about["test fold"] == "not known"
    (note,) = notes(read_recording(tmp_path / "out"))
    assert "encoder given for paper has seen crystals of the test fold is not known" in note


def test_an_encoder_that_has_seen_the_test_fold_is_refused_before_anything_is_done(done, tasks, tmp_path):
    out, _ = done
    model = tmp_path / "mine.safetensors"
    shutil.copy(out / facts(out)["pretraining"]["paper"]["file"], model)
    tested = tasks[0].material_id[int(np.argmax(tasks[0].test_mask))]
    ids_file(model).write_text(f"{tested}\nmp-0\n")
    with pytest.raises(InputError, match=f"pretrained on 1 crystals of the test fold, such as '{tested}'"):
        study(tmp_path / "out", tasks, features=["paper"], pretrained={"paper": model})
    with pytest.raises(InputError, match=r"must be of the preset 'default'; .* is 'paper'"):
        study(tmp_path / "out", tasks, features=["paper"], pretrained={"default": model})
    with pytest.raises(InputError, match=r"pretrained must name encoders among default, paper, .* got 'magpie'"):
        study(tmp_path / "out", tasks, features=["paper"], pretrained={"magpie": model})
    assert not (tmp_path / "out" / "results.parquet").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"starts": ["deep"]}, r"starts must be distinct names among default, .* got \['deep'\]"),
        ({"starts": "paper"}, "starts must be distinct names"),
        ({"max_epochs": {"deep": 1}}, rf"max_epochs must have keys among {', '.join(EPOCHS_OF)}, got \['deep'\]"),
        ({"max_epochs": {"paper": -1}}, r"max_epochs\['paper'\] must be an integer >= 0, got -1"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path, tasks, change, message):
    with pytest.raises(InputError, match=message):
        study(tmp_path / "out", tasks, **change)


def test_vectors_of_another_property_need_one(tmp_path):
    (alone,) = load_table_tasks(write_cells(tmp_path / "table.parquet", N), ["energy"])
    with pytest.raises(InputError, match=r"'paper other property' needs another property, .* known for 'energy'"):
        study(tmp_path / "out", [alone], features=["paper other property"])
