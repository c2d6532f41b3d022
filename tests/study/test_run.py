"""Studies: what is pretrained on, what a record says, and what is refused before anything is done."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.metrics import mean_absolute_error

from skdim import DeepInfoMaxEmbedder, SiteNetRegressor
from skdim.datasets import in_test_fold
from skdim.evaluation import REGRESSORS, label_efficiency, magpie_statistics
from skdim.evaluation._repeats import draw_repeats
from skdim.exceptions import InputError
from skdim.study.encoders import Encoders
from skdim.study.run import run_study
from skdim.study.tasks import StudyTask, load_task

SMALL = {"label_counts": [20], "crystals": 80, "n_repeats": 2, "random_state": 3, "report": False}
SCORES = ["cv_mae", "mae", "rmse", "r2"]


def study(out, **changes):
    """Run a small study, with other parameters if there are any."""
    usual = {"tasks": [gaps()], "features": ["default untrained", "magpie"], "regressors": ["ridge"]}
    return run_study(out, **{**SMALL, **usual, **changes})


@cache
def gaps():
    """Some band gaps, loaded once."""
    return load_task("band_gap").sample(80, 3)


def facts(out):
    return json.loads((Path(out) / "study.json").read_text())


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Folder and records of a study with a bit of everything."""
    out = tmp_path_factory.mktemp("study") / "new" / "folder"
    regressors = {name: REGRESSORS[name]() for name in ("median", "ridge", "kernel_ridge")}
    regressors["fine_tuned"] = SiteNetRegressor(max_epochs=2)
    features = ["default", "default untrained", "magpie"]
    records = study(
        out,
        tasks=["band_gap", "elastic_moduli"],
        features=features,
        regressors=regressors,
        transductive=True,
        max_epochs=1,
        fine_tuning_repeats=1,
        label_counts=[10, 20],
    )
    return out, records


# What is measured


def test_records_have_a_row_for_everything_that_was_asked_for(done):
    _, records = done
    sets = ["default", "default untrained", "magpie", "default transductive"]
    wanted = []
    for task in ("band gap", "log10 K"):
        wanted += [(task, "none", "median", n, d) for n in (10, 20) for d in range(2)]
        wanted += [
            (task, f, r, n, d) for f in sets for r in ("ridge", "kernel_ridge") for n in (10, 20) for d in range(2)
        ]
        starts = ("default", "default untrained", "other property")
        wanted += [(task, f, "fine_tuned", n, 0) for f in starts for n in (10, 20)]
    assert (
        list(records[["task", "features", "regressor", "labels", "repeat"]].itertuples(index=False, name=None))
        == wanted
    )
    tuned = records["regressor"] == "fine_tuned"
    assert records.loc[tuned, "cv_mae"].isna().all()
    assert np.isfinite(records.loc[~tuned, SCORES]).all(axis=None)
    assert np.isfinite(records[["mae", "rmse", "r2", "seconds"]]).all(axis=None)


def test_the_files_are_all_there_and_agree(done):
    out, records = done
    pd.testing.assert_frame_equal(pd.read_parquet(out / "results.parquet"), records)
    about, maps = facts(out), pd.read_parquet(out / "maps.parquet")
    assert about["finished"]
    assert about["tasks"]["band gap"]["labels"] == [10, 20]
    assert list(maps.columns) == ["task", "method", "x", "y", "target", "features"]
    assert (maps["method"] == "t-SNE").sum() == sum(task["test_fold"] for task in about["tasks"].values())
    for model in about["pretraining"].values():
        assert (out / model["file"]).is_file()
    assert about["pretraining"]["default"]["epochs"] == 1
    assert about["pretraining"]["default untrained"]["epochs"] == 0


def test_records_are_those_of_label_efficiency_on_the_vectors_of_the_saved_model(done):
    out, records = done
    task = gaps()
    embedder = DeepInfoMaxEmbedder.load(out / facts(out)["pretraining"]["default"]["file"])
    sets = {"default": embedder.transform(task.structures), "magpie": magpie_statistics(task.structures)}
    expected = label_efficiency(
        sets,
        task.target,
        task.test_mask,
        label_counts=[10, 20],
        regressors=["ridge", "kernel_ridge"],
        n_repeats=2,
        random_state=3,
        task="band gap",
    )
    same = records[
        (records["task"] == "band gap") & records["features"].isin(sets) & (records["regressor"] != "fine_tuned")
    ]
    columns = ["features", "regressor", "labels", "repeat"]
    assert same[columns].to_numpy().tolist() == expected[columns].to_numpy().tolist()
    # Vectors of other threads differ in their last digits.
    np.testing.assert_allclose(same[SCORES], expected[SCORES], rtol=1e-4)


def test_fine_tuning_has_the_draws_of_the_other_regressors(done):
    out, records = done
    task = gaps()
    repeat = next(d for d in draw_repeats(np.flatnonzero(~task.test_mask), [20], 1, 3))
    start = out / facts(out)["pretraining"]["default"]["file"]
    regressor = SiteNetRegressor(start, max_epochs=2, random_state=repeat.seed)
    structures = np.fromiter(task.structures, dtype=object)
    predicted = regressor.fit(structures[repeat.rows], task.target[repeat.rows]).predict(structures[task.test_mask])
    expected = mean_absolute_error(task.target[task.test_mask], predicted)
    row = records.query("task == 'band gap' and features == 'default' and regressor == 'fine_tuned' and labels == 20")
    assert row["mae"].item() == pytest.approx(expected, rel=1e-3)


def test_a_pretraining_sees_each_crystal_once_and_none_of_a_test_fold(tmp_path):
    tasks = [load_task("band_gap").sample(300, 0), load_task("elastic_moduli").sample(300, 1)]
    # In the training fold of its own task, in the test fold of the other: not to be seen either.
    shared = tasks[0].material_id[0], tasks[1].material_id[0]
    foreign = StudyTask("x", tasks[0].structures[:2], tasks[0].target[:2], list(shared), np.array([True, True]))
    encoders = Encoders([*tasks, foreign], tmp_path, 0, 0, None, 0, print)
    ids = np.array([name for task in encoders.tasks for name in task.material_id])
    seen, all_of_them = (ids[encoders.unlabelled(t)].tolist() for t in (False, True))
    assert set(seen) == {name for name in ids if not in_test_fold([str(name)])[0] and name not in shared}
    assert set(all_of_them) == set(ids)
    assert len(set(seen)) == len(seen)
    assert len(set(all_of_them)) == len(all_of_them)


def test_the_vectors_are_those_of_an_embedder_fitted_by_hand(done):
    out, _ = done
    tasks = [load_task(name).sample(80, 3) for name in ("band_gap", "elastic_moduli")]
    first = {}
    for task in tasks:
        for name, structure, test in zip(task.material_id, task.structures, task.test_mask, strict=True):
            if not test:
                first.setdefault(name, structure)
    by_hand = DeepInfoMaxEmbedder(max_epochs=1, random_state=3).fit(list(first.values()))
    saved = DeepInfoMaxEmbedder.load(out / facts(out)["pretraining"]["default"]["file"])
    some = tasks[0].structures[:5]
    np.testing.assert_allclose(saved.transform(some), by_hand.transform(some), atol=1e-4)
    assert facts(out)["pretraining"]["default"]["crystals"] == len(first)


def test_crystals_of_a_task_are_drawn_by_their_place_whatever_index_they_carry():
    task, places = gaps(), np.arange(80)[::-1]
    columns = ("structures", "target", "material_id", "test_mask")
    series = {name: pd.Series(list(getattr(task, name)), index=places) for name in columns}
    expected = task.sample(30, 1)
    for some in (columns, columns[:1], columns[1:]):
        drawn = replace(task, **{name: series[name] for name in some}).sample(30, 1)
        for name in columns:
            assert list(getattr(drawn, name)) == list(getattr(expected, name))


@pytest.mark.slow
def test_a_model_that_was_trained_before_keeps_its_seconds_and_epochs(tmp_path):
    regressors = {"fine_tuned": SiteNetRegressor(max_epochs=2)}
    for _ in range(2):
        study(tmp_path, tasks=["band_gap"], features=["magpie"], regressors=regressors, fine_tuning_repeats=1)
        about = facts(tmp_path)["pretraining"]["other property: formation energy"]
        assert about["epochs"] == 2
        assert about["seconds"] > 0


class Sizes(TransformerMixin, BaseEstimator):
    """Number of sites, which large cells do not tell; and a column that is never known."""

    def fit(self, X, y=None):
        self.n_seen_ = len(X)
        return self

    def transform(self, X):
        sites = np.array([float(len(structure)) for structure in X])
        return np.column_stack([np.where(sites > np.median(sites), np.nan, sites), sites, np.full(len(X), np.nan)])


def test_transformers_and_tasks_of_ones_own_and_missing_values(tmp_path):
    given = gaps()
    own = StudyTask("own", given.structures, given.target, given.material_id, given.test_mask, unit="eV")
    with pytest.warns(UserWarning, match=r"sizes, own: NaN in \d+ of 80 rows, column means .* 1 columns without any"):
        records = study(tmp_path, tasks=[own], features={"sizes": Sizes(), "Magpie": "magpie"})
    values = Sizes().fit_transform(own.structures)[:, :2]
    with pytest.warns(UserWarning, match="column means are used instead"):
        expected = label_efficiency(
            {"sizes": values},
            own.target,
            own.test_mask,
            label_counts=[20],
            n_repeats=2,
            regressors=["ridge"],
            random_state=3,
        )
    np.testing.assert_allclose(records.query("features == 'sizes'")[SCORES], expected[SCORES])
    assert facts(tmp_path)["imputed_rows"]["own"] == {"sizes": int(np.isnan(values).any(1).sum())}
    assert facts(tmp_path)["baseline"] == "Magpie"


# What cannot be done


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tasks": ["gap"]}, "tasks must be among formation_energy, band_gap, elastic_moduli, .* got 'gap'"),
        ({"tasks": []}, r"tasks must be .* got \[\]"),
        ({"tasks": ["band_gap", "band_gap"]}, "tasks must have distinct names"),
        ({"tasks": [replace(load_task("band_gap"), other="gap")]}, "'band gap': other must be None .* got 'gap'"),
        ({"label_counts": [20, 70]}, r"band gap: label_counts .* to \d\d .*got \[20, 70\]"),
        ({"label_counts": [4]}, "from 5"),
        ({"features": ["majpie"]}, "features must be .* among default, .* got 'majpie'"),
        ({"features": []}, "at least one feature set"),
        ({"features": ["magpie", "magpie"]}, "each once"),
        ({"features": {"none": "magpie"}}, "features has the name 'none'"),
        ({"label_counts": [20, 20]}, r"band gap: label_counts must be distinct, got \[20, 20\]"),
        ({"regressors": ["ridge", "fine tuned"]}, r"regressors must be .*fine_tuned, got \['ridge', 'fine tuned'\]"),
        ({"regressors": []}, r"regressors must be names among"),
        ({"n_repeats": 0}, "n_repeats must be an integer >= 1, got 0"),
        ({"fine_tuning_repeats": 1.5}, "fine_tuning_repeats must be an integer >= 1, got 1.5"),
        ({"fewer_repeats": {"mlp": 2}}, r"fewer_repeats must name .* got \['mlp'\]"),
        ({"baseline": "ofm"}, "baseline must be .* got 'ofm'"),
        ({"crystals": 3}, "crystals must be None or an integer >= 20, got 3"),
        ({"max_epochs": -1}, "max_epochs must be None or an integer >= 0, got -1"),
        ({"random_state": None}, "random_state must be an integer >= 0, got None"),
        ({"n_jobs": 0}, "n_jobs must be .*, got 0"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_done(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        study(tmp_path / "out", **change)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": "magpie"}, "features must be a list"),
        ({"features": {"a": 3}}, r"features\['a'\] must be .* got 3"),
        ({"regressors": "ridge"}, "regressors must be a list"),
        ({"regressors": {"fine_tuned": REGRESSORS["ridge"]()}}, "must be a SiteNetRegressor"),
    ],
)
def test_what_is_of_the_wrong_kind_is_refused(tmp_path, change, message):
    with pytest.raises(TypeError, match=message):
        study(tmp_path / "out", **change)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below"):
        with pytest.raises(ValueError, match="is a file"):
            study(tmp_path / place)


def test_features_that_fail_everywhere_are_an_error(tmp_path):
    class Blind(Sizes):
        def transform(self, X):
            return np.full((len(X), 1), np.nan)

    with pytest.raises(ValueError, match=r"'blind' failed on all \d\d crystals of the pool of band gap"):
        study(tmp_path, features={"blind": Blind()})
