"""Classes of crystals: calibrated probabilities, rare classes, texts, one safe file."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, log_loss
from sklearn.model_selection import StratifiedKFold

from skdim import CrystalClassifier, load_pretrained
from skdim._classmodel import row_weights, try_regressor
from skdim.datasets import load_band_gap
from skdim.evaluation import composition_groups

BUNCH = load_band_gap()
N = 150
KINDS = np.where(BUNCH.target > 3, "wide", "narrow")
THREE = np.digitize(BUNCH.target, [1.0, 3.0])


@pytest.fixture(scope="module")
def embedder():
    return load_pretrained()


@pytest.fixture(scope="module")
def points(embedder):
    return embedder.featurizer_.set_params(verbose=0).transform(BUNCH.data[:400])


def quick(embedder, **params) -> CrystalClassifier:
    return CrystalClassifier(embedder, **{"regressors": ("ridge",), "cv": 5, "random_state": 0, **params})


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(KINDS, id="texts"),
        pytest.param(THREE, id="integers", marks=pytest.mark.slow),
        pytest.param(KINDS == "wide", id="booleans", marks=pytest.mark.slow),
    ],
)
def test_it_tells_classes_far_better_than_a_guess(embedder, points, labels) -> None:
    model = quick(embedder).fit(points[:N], labels[:N])
    shares = model.predict_proba(points[N:])
    np.testing.assert_allclose(shares.sum(1), 1)
    assert set(model.classes_) == set(labels)
    guess = model.predict(points[N:])
    k = len(model.classes_)
    assert balanced_accuracy_score(labels[N:400], guess) > (1 / k + 1) / 2 - 0.05
    assert model.losses_["ridge"] < model.losses_["shares"]


def test_probabilities_are_shares_of_what_turns_out_so(embedder, points) -> None:
    shares = quick(embedder, class_weight=None).fit(points[:N], KINDS[:N]).predict_proba(points[N:])[:, 1]
    true = KINDS[N:400] == "wide"
    for low, high in ((0, 0.3), (0.3, 0.7), (0.7, 1.001)):
        inside = (shares >= low) & (shares < high)
        assert abs(shares[inside].mean() - true[inside].mean()) < 0.15


@pytest.mark.slow
def test_a_rare_class_is_found_where_classes_are_balanced(embedder, points) -> None:
    wide, narrow = np.flatnonzero(KINDS[:N] == "wide"), np.flatnonzero(KINDS[:N] == "narrow")
    rows = np.r_[wide[:8], narrow]
    found = {}
    for weight in ("balanced", None):
        model = quick(embedder, class_weight=weight).fit(points[:N][rows], KINDS[:N][rows])
        found[weight] = np.mean(model.predict(points[N:])[KINDS[N:400] == "wide"] == "wide")
        assert model.predict_proba(points[N:])[:, 1].mean() < 0.5  # the share among the labels, not a half
    assert found["balanced"] > 0.3  # of eight labels
    assert found["balanced"] > found[None]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ridge", "laplacian", "trees"])
def test_a_saved_classifier_predicts_bit_by_bit_the_same(embedder, points, tmp_path, name) -> None:
    model = quick(embedder, regressors=[name]).fit(points[:60], THREE[:60])
    model.save(tmp_path / "c.skdim")
    again = CrystalClassifier.load(tmp_path / "c.skdim")
    np.testing.assert_array_equal(again.predict_proba(points[N : N + 20]), model.predict_proba(points[N : N + 20]))
    np.testing.assert_array_equal(again.predict(points[N : N + 20]), model.predict(points[N : N + 20]))
    assert again.predict_frame(points[:2]).columns[0] == "prediction"


def test_rows_without_a_label_and_groups_and_clones(embedder, points) -> None:
    labels = [None if k % 3 == 0 else kind for k, kind in enumerate(KINDS[:N])]
    groups = composition_groups(BUNCH.data[:N])
    model = quick(embedder).fit(points[:N], labels, groups=groups)
    assert len(model.labelled_) == N - 50
    assert np.isnan(model.held_out_[0]).all()
    fresh = clone(model)
    assert not hasattr(fresh, "classes_")
    assert fresh.embedder.state_ is embedder.state_
    assert 0.5 < model.score(points[N:], KINDS[N:400]) < 1


@pytest.mark.parametrize(
    ("labels", "given", "words"),
    [
        (["a"] * 30, {}, "y is 'a' in all 30 labelled rows; at least two classes"),
        (["a"] * 28 + ["b"] * 2, {}, "fewer than 3 labels of 'b' .2."),
        (["a", "b"] * 3 + [None] * 24, {}, "y has 6 labelled usable rows; at least 10"),
        (["a", "b"] * 14, {}, "one label for each row of X: X has 30 rows and y has 28"),
        ([0.5, 1.0] * 15, {}, "y is continuous, it has the value 0.5"),
        ([np.inf, 1.0] * 15, {}, "it has the value inf"),
        ([None, np.nan, ""] * 10, {}, "y has 0 labelled usable rows; at least 10"),
        (["a", 1] * 15, {}, "y must hold texts only"),
        (["a", "b"] * 15, {"groups": ["g"] * 30}, "are of 1 group; at least 2 groups"),
        (["a"] * 20 + ["b"] * 10, {"groups": ["g", "h"] * 10 + ["i"] * 10}, "no label of the class 'b' is left"),
        (None, {}, "y must be a class for each row"),
    ],
)
def test_what_cannot_be_learned_is_said_with_what_is_needed(embedder, points, labels, given, words) -> None:
    with pytest.raises(ValueError, match=words):
        quick(embedder).fit(points[:30], labels, **given)


@pytest.mark.parametrize("name", ["ridge", pytest.param("trees", marks=pytest.mark.slow)])
def test_probabilities_are_those_of_training_anew_one_after_the_other(embedder, points, name) -> None:
    V, target = embedder.transform(points[:60]).astype(np.float64), THREE[:60]
    regressor, weights = quick(embedder, regressors=[name]).candidates(0)[name], row_weights(target, balanced=True)
    splits = list(StratifiedKFold(4).split(V, target))
    fast = try_regressor(regressor, V, target, weights, splits, n_jobs=2)

    def guess(train, rows):
        models = clone(regressor).fit_each(V[train], np.eye(3)[target[train]], weights[train])
        return np.stack([model.predict(V[rows]) for model in models], 1)

    for train, test in splits:
        known = np.zeros((60, 3))
        for _, other in splits:
            known[other] = guess(np.setdiff1d(train, other), other)
        calibrator = LogisticRegression(C=10.0, max_iter=1000).fit(known[train], target[train])
        own = guess(train, test)
        np.testing.assert_allclose(fast.held_out[test], own, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(fast.probabilities[test], calibrator.predict_proba(own), rtol=1e-4, atol=1e-6)
    assert fast.loss == pytest.approx(log_loss(target, fast.probabilities))


@pytest.mark.slow
def test_held_out_probabilities_have_not_seen_the_labels_of_their_fold(embedder, points) -> None:
    # Folds of groups depend on the counts of classes in each, so labels that change places in one leave them as they
    # are. What is said of its rows then stays the same to the bit, or it has seen their labels: a calibrator may have,
    # through what it was trained on.
    groups = np.arange(80) // 8
    labels = np.random.default_rng(0).permutation(["a", "b"] * 40)
    changed = labels.copy()
    changed[:8] = labels[:8][::-1]
    assert (changed != labels).any()
    said = [quick(embedder).fit(points[:80], y, groups=groups).held_out_ for y in (labels, changed)]
    np.testing.assert_array_equal(said[0][:8], said[1][:8])
    assert (said[0][8:] != said[1][8:]).any()
