"""The embedder as a matminer featurizer: one pass, matminer's manners with errors, nothing forgotten by clone."""

import multiprocessing
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matminer.featurizers.base import MultipleFeaturizer
from matminer.featurizers.structure import DensityFeatures
from pymatgen.core import Lattice, Structure
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor

from skdim import DeepInfoMaxEmbedder
from skdim.exceptions import StructureError
from skdim.matminer import EmbeddingFeaturizer
from tests.handmade import flat, iron, perovskite, salt, silicon

CRYSTALS = [salt(), silicon(), perovskite(), iron()] * 2
BROKEN = Structure(Lattice.cubic(3), [], [])
NEW = {"max_epochs": 0, "embedding_dim": 3, "random_state": 0}


@pytest.fixture(scope="module")
def embedder():
    return DeepInfoMaxEmbedder(**NEW).fit(CRYSTALS)


@pytest.fixture
def frame():
    return pd.DataFrame({"structure": CRYSTALS[:4], "y": [1.0, 2.0, 3.0, 4.0]}, index=["a", "b", "c", "d"])


@pytest.fixture
def broken_frame(frame):
    frame.at["c", "structure"] = BROKEN
    return frame


def test_a_data_frame_gets_the_vectors_of_its_rows(embedder, frame):
    out = EmbeddingFeaturizer(embedder).featurize_dataframe(frame, "structure", pbar=False)
    labels = list(embedder.get_feature_names_out())
    assert list(out.columns) == ["structure", "y", *labels]
    assert list(out.index) == list(frame.index)
    np.testing.assert_array_equal(out[labels].to_numpy(np.float32), embedder.transform(CRYSTALS[:4]))


def test_all_rows_are_one_pass_without_processes_of_matminer(embedder, frame, monkeypatch):
    monkeypatch.setattr("matminer.featurizers.base.Pool", lambda *_, **__: pytest.fail("matminer's pool was used"))
    featurizer, passes = EmbeddingFeaturizer(embedder), []
    real = embedder.transform
    monkeypatch.setattr(embedder, "transform", lambda X: passes.append(len(X)) or real(X))
    featurizer.featurize_dataframe(frame, "structure", pbar=False)
    MultipleFeaturizer([featurizer], iterate_over_entries=False).featurize_dataframe(frame, ["structure"], pbar=False)
    assert passes == [4, 4]


def test_row_by_row_gives_what_the_pass_gives(embedder, frame):
    one_pass = EmbeddingFeaturizer(embedder).featurize_many(CRYSTALS[:4], pbar=False)
    both = MultipleFeaturizer([EmbeddingFeaturizer(embedder), DensityFeatures()], iterate_over_entries=True)
    both.set_n_jobs(1)
    out = both.featurize_dataframe(frame, "structure", pbar=False)
    assert out.shape == (4, 2 + 3 + 3)
    np.testing.assert_allclose(out[list(embedder.get_feature_names_out())], one_pass, rtol=1e-4, atol=1e-5)


def test_beside_another_featurizer_in_one_pass(embedder, frame):
    both = MultipleFeaturizer([EmbeddingFeaturizer(embedder), DensityFeatures()], iterate_over_entries=False)
    both.set_n_jobs(1)
    out = both.featurize_dataframe(frame, "structure", ignore_errors=True, return_errors=True, pbar=False)
    assert {"density", "EmbeddingFeaturizer Exceptions", "DensityFeatures Exceptions"} <= set(out.columns)
    assert len([text for text in both.citations() if "2407.00671" in text]) == 1


FORKED = """
import torch
torch.set_num_threads(2)
torch.randn(500, 500) @ torch.randn(500, 500)  # starts the threads that a forked process lacks
import numpy as np
from matminer.featurizers.base import MultipleFeaturizer
from pymatgen.core import Lattice, Structure
from skdim import DeepInfoMaxEmbedder
from skdim.matminer import EmbeddingFeaturizer

kinds = {"CsCl": 4.1, "TlBr": 4.0, "NiAl": 2.9, "CuZn": 2.95}
crystals = [Structure(Lattice.cubic(a), [k[:2], k[2:]], [[0, 0, 0], [.5, .5, .5]]) for k, a in kinds.items()]
featurizer = EmbeddingFeaturizer(DeepInfoMaxEmbedder(max_epochs=0, embedding_dim=2, random_state=0).fit(crystals))
together = featurizer.featurize_many(crystals, pbar=False)
rows = MultipleFeaturizer([featurizer], iterate_over_entries=True)
rows.set_chunksize(2)
rows._n_jobs = 2  # of matminer's pool; of two for rows, of one for what is in a row
np.testing.assert_allclose(rows.featurize_many(crystals, pbar=False), together, rtol=1e-4, atol=1e-5)
print("done")
"""


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="the hang is one of forked processes")
def test_processes_forked_by_matminer_end_and_agree():
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=120)
    assert done.stdout == "done\n", done.stderr


def test_parallel_reading_gives_the_same(embedder):
    serial, parallel = EmbeddingFeaturizer(embedder), EmbeddingFeaturizer(embedder)
    parallel.set_n_jobs(2)
    np.testing.assert_array_equal(parallel.transform(CRYSTALS), serial.transform(CRYSTALS))


def test_a_broken_row_is_an_error_that_names_it(embedder, broken_frame):
    with pytest.raises(StructureError, match="row 2: no sites") as caught:
        EmbeddingFeaturizer(embedder).featurize_dataframe(broken_frame, "structure", pbar=False)
    assert caught.value.failures[0][0] == 2
    assert "ignore_errors=True" in caught.value.__notes__[0]


def test_ignored_errors_are_rows_of_nan_with_their_reason(embedder, broken_frame):
    featurizer = EmbeddingFeaturizer(embedder)
    out = featurizer.featurize_dataframe(broken_frame, "structure", ignore_errors=True, return_errors=True, pbar=False)
    labels = featurizer.feature_labels()
    assert out[labels].isna().all(axis=1).tolist() == [False, False, True, False]
    reasons = out["EmbeddingFeaturizer Exceptions"]
    assert "no sites" in reasons["c"]
    assert reasons.drop("c").isna().all()
    with pytest.raises(ValueError, match="return_errors=True needs ignore_errors=True"):
        featurizer.featurize_dataframe(broken_frame, "structure", return_errors=True, pbar=False)


def test_a_broken_row_among_rows_taken_one_by_one(embedder, broken_frame):
    rows = MultipleFeaturizer([EmbeddingFeaturizer(embedder)], iterate_over_entries=True)
    rows.set_n_jobs(1)
    with pytest.raises(ValueError, match=r"no sites(.|\n)*TO SKIP THESE ERRORS"):
        rows.featurize_dataframe(broken_frame, "structure", pbar=False)
    out = rows.featurize_dataframe(broken_frame, "structure", ignore_errors=True, return_errors=True, pbar=False)
    assert out["dim_component_0"].isna().tolist() == [False, False, True, False]
    assert "no sites" in out["EmbeddingFeaturizer Exceptions"]["c"]


def test_transform_warns_of_rows_of_nan(embedder):
    with pytest.warns(UserWarning, match="row 1: no sites"):
        vectors = EmbeddingFeaturizer(embedder).transform([salt(), BROKEN])
    assert vectors.dtype == np.float32
    assert np.isnan(vectors).all(axis=1).tolist() == [False, True]


def test_precheck_tells_usable_rows(embedder, broken_frame):
    featurizer = EmbeddingFeaturizer(embedder)
    assert featurizer.precheck_dataframe(broken_frame, "structure") == 0.75
    assert featurizer.precheck(flat(salt()))
    assert not featurizer.precheck(Structure(Lattice.cubic(4), ["Og"], [[0, 0, 0]]))
    assert EmbeddingFeaturizer(DeepInfoMaxEmbedder()).precheck(salt())


def test_an_embedder_that_is_not_fitted_is_trained_by_fit_alone(frame):
    unfitted = DeepInfoMaxEmbedder(**NEW)
    featurizer = EmbeddingFeaturizer(unfitted)
    for ask in (
        featurizer.feature_labels,
        lambda: featurizer.featurize(salt()),
        lambda: featurizer.transform(CRYSTALS),
    ):
        with pytest.raises(NotFittedError, match="fit_featurize_dataframe"):
            ask()
    with pytest.raises(NotFittedError):
        featurizer.featurize_dataframe(frame, "structure", ignore_errors=True, pbar=False)
    out = featurizer.fit_featurize_dataframe(frame, "structure", pbar=False)
    expected = DeepInfoMaxEmbedder(**NEW).fit_transform(CRYSTALS[:4])
    np.testing.assert_array_equal(out[featurizer.feature_labels()].to_numpy(np.float32), expected)
    assert not hasattr(unfitted, "state_")


def test_a_saved_embedder_is_used_and_never_trained(embedder, tmp_path):
    embedder.save(tmp_path / "m.safetensors")
    featurizer = EmbeddingFeaturizer(tmp_path / "m.safetensors").fit(CRYSTALS[:1])
    np.testing.assert_array_equal(featurizer.transform(CRYSTALS), embedder.transform(CRYSTALS))
    assert not hasattr(featurizer, "embedder_")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        EmbeddingFeaturizer(str(tmp_path / "nowhere")).feature_labels()


def test_clone_and_fit_keep_what_a_fitted_embedder_has_learned(embedder):
    featurizer = EmbeddingFeaturizer(embedder)
    featurizer.set_n_jobs(1)
    copy = clone(featurizer).fit(CRYSTALS[4:])
    assert copy.n_jobs == 1
    np.testing.assert_array_equal(copy.transform(CRYSTALS), embedder.transform(CRYSTALS))
    copy.set_params(embedder__verbose=1)
    assert embedder.verbose == 0
    assert not hasattr(clone(EmbeddingFeaturizer(DeepInfoMaxEmbedder())).embedder, "state_")


def test_pickle_keeps_all(embedder):
    again = pickle.loads(pickle.dumps(EmbeddingFeaturizer(embedder)))
    np.testing.assert_array_equal(again.transform(CRYSTALS), embedder.transform(CRYSTALS))


def test_a_step_of_a_scikit_learn_pipeline(embedder):
    model = make_pipeline(EmbeddingFeaturizer(embedder).set_output(transform="pandas"), DecisionTreeRegressor())
    y = np.arange(8.0) % 4
    assert cross_val_score(model, CRYSTALS, y, cv=2).tolist() == [1.0, 1.0]
    assert model.fit(CRYSTALS, y)[-1].feature_names_in_.tolist() == EmbeddingFeaturizer(embedder).feature_labels()


@pytest.mark.parametrize(
    "wrap", [list, tuple, pd.Series, lambda x: [(s,) for s in x], lambda x: pd.DataFrame({"s": x})]
)
def test_every_collection_matminer_knows(embedder, wrap):
    rows = EmbeddingFeaturizer(embedder).featurize_many(wrap(CRYSTALS), pbar=False)
    assert all(type(row) is list for row in rows)
    np.testing.assert_array_equal(np.array(rows, np.float32), embedder.transform(CRYSTALS))


def test_no_row_and_two_columns(embedder, frame):
    featurizer = EmbeddingFeaturizer(embedder)
    assert featurizer.featurize_many([], pbar=False) == []
    assert featurizer.featurize_dataframe(frame[:0], "structure", pbar=False).shape == (0, 5)
    with pytest.raises(ValueError, match="entries must have one column"):
        featurizer.featurize_many(frame)


def test_papers_and_authors(embedder):
    featurizer = EmbeddingFeaturizer(embedder)
    for paper, entry in zip(("2407.00671", "2209.08190", "1808.06670"), featurizer.citations(), strict=True):
        assert entry.startswith("@")
        assert paper in entry
        assert entry.count("{") == entry.count("}")
    assert featurizer.implementors() == ["The skdim developers"]
