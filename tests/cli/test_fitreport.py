"""What a report says of a fit, in numbers that can be checked by hand."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    log_loss,
    mean_absolute_error,
    r2_score,
)

from skdim import CrystalClassifier, CrystalRegressor
from skdim._classmodel import row_weights, try_regressor
from skdim._targetmodel import choose
from skdim.cli.classreport import ClassReport, make_class_report
from skdim.cli.fitpage import as_text, classes_as_text, write_classes_page, write_pages
from skdim.cli.fitreport import Report, magpie_statistics, make_report
from skdim.cli.fitting import _loss
from skdim.datasets import load_elastic_moduli
from skdim.evaluation._readouts import READOUTS
from skdim.points.pointsets import PointSets
from skdim.pretrained import load_pretrained

N = 40
MANY = 80  # enough for a learning curve of classes
PER_DECADE = 40.0  # GPa of a bulk modulus, so that labels are all over ten decades


@pytest.fixture(scope="module")
def points() -> PointSets:
    return load_pretrained("bundled").featurizer_.transform(load_elastic_moduli(target="K_VRH").data[:N])


@pytest.fixture(scope="module")
def moduli() -> np.ndarray:
    return load_elastic_moduli(target="K_VRH").target[:N] / PER_DECADE


def reported(points: PointSets, labels: np.ndarray, scale: str) -> tuple[CrystalRegressor, Report]:
    model = CrystalRegressor(load_pretrained("bundled"), regressors=["ridge"], scale=scale, random_state=0)
    model.fit(points, labels)
    names, sides = [str(k) for k in range(N)], np.zeros(N, np.int64)
    said = {"target": "y", "source": "bundled", "notes": [], "failures": []}
    return model, make_report(model, points, names, labels, sides, None, **said)


def test_labels_over_decades_are_reported_as_their_logarithms_are(points, moduli) -> None:
    """A factor of ten counts alike everywhere: all that is said in decades is what is said of the logarithms."""
    model, wide = reported(points, 10.0 ** (moduli - 8), "auto")
    _, logarithms = reported(points, moduli, "none")
    assert (wide.unit, logarithms.unit) == ("decades", "")
    for name in ("errors", "magpie"):
        assert getattr(wide, name) == pytest.approx(getattr(logarithms, name), rel=1e-3)
    np.testing.assert_allclose(wide.learning, logarithms.learning, rtol=1e-3)
    np.testing.assert_allclose(wide.fifths, logarithms.fifths, rtol=1e-3)
    assert wide.expected == pytest.approx(logarithms.expected, rel=1e-3)
    assert wide.error == pytest.approx(mean_absolute_error(moduli - 8, np.log10(wide.predicted)))
    assert wide.r2 == pytest.approx(r2_score(moduli - 8, np.log10(wide.predicted)))
    assert wide.raw_errors == model.errors_[0]
    assert _loss(model) == pytest.approx(wide.error / wide.errors["median"])  # by which vectors are chosen
    assert logarithms.errors == logarithms.raw_errors
    worst = wide.hardest[0]
    assert worst["error"] == pytest.approx(abs(np.log10(worst["predicted"] / worst["value"])))


def test_predictions_below_zero_are_told_with_what_reading_them_as_zero_changes(points, moduli) -> None:
    values = np.maximum(moduli - np.median(moduli), 0.0)
    model, report = reported(points, values, "none")
    held = model.held_out_
    then, now = (np.abs(guess - values).mean() for guess in (np.maximum(held, 0), held))
    assert then < now
    (said,) = report.notes
    assert f"is: {(held < 0).sum()} of {N}. A regressor" in said
    assert f"their mean is {then:.3g} instead of {now:.3g}" in said
    for others in (values - 0.1, values + 100.0):  # some labels are below 0, or no prediction is
        assert not reported(points, others, "none")[1].notes


def test_errors_have_the_unit_of_the_labels_where_the_table_tells_it(points, moduli, tmp_path) -> None:
    report = replace(reported(points, moduli, "none")[1], label_unit="GPa", n_bounds=1)
    text = as_text(report)
    write_pages([report], ["lost-7"], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert f"{N} labels and 1 bound;" in text
    assert f"{N} labels and 1 bound;" in page
    assert "<code>lost-7</code>" in page
    assert f"misses its value by <b>{report.error:.3g} GPa</b>" in page
    assert "mean absolute error, GPa " in text
    assert "Mean absolute error by cross-validation (GPa)" in page
    assert "label (GPa)" in page


@pytest.mark.parametrize(
    ("own", "magpie", "said"),
    [
        (1.0, 1.5, []),
        (1.92, 2.0, ["caution: ridge is hardly better than a guess of the median"]),
        (2.1, 2.05, ["caution: ridge is no better than a guess of the median"]),
        (
            1.0,
            0.9,
            ["caution: on Magpie statistics of the composition the same choice of regressors has a lower error, 0.9"],
        ),
    ],
)
def test_what_speaks_against_a_model_is_said_first(points, moduli, tmp_path, own, magpie, said) -> None:
    report = replace(
        reported(points, moduli, "none")[1], errors={"ridge": own, "median": 2.0}, magpie={"ridge": magpie}
    )
    write_pages([report], [], tmp_path / "page.html")
    page, text = (tmp_path / "page.html").read_text(), as_text(report)
    cautions = [line for line in text.splitlines() if line.startswith("caution")]
    assert all(line.startswith(words) for line, words in zip(cautions, said, strict=True))
    assert page.count("Caution") == len(said)


def classes_reported(
    points: PointSets, labels: np.ndarray, groups: np.ndarray | None = None
) -> tuple[CrystalClassifier, ClassReport]:
    model = CrystalClassifier(load_pretrained("bundled"), regressors=["ridge"], random_state=0)
    model.fit(points, labels, groups)
    said = {"target": "kind", "source": "bundled", "notes": [], "failures": []}
    return model, make_class_report(model, points, [f"c{k}" for k in range(len(labels))], labels, groups, **said)


@pytest.fixture(scope="module")
def many() -> PointSets:
    return load_pretrained("bundled").featurizer_.transform(load_elastic_moduli(target="K_VRH").data[:MANY])


@pytest.fixture(scope="module")
def kinds() -> np.ndarray:
    moduli = load_elastic_moduli(target="K_VRH").target[:MANY]
    return np.where(moduli > np.median(moduli), "hard", "so$ft")


@pytest.fixture(scope="module")
def classified(many, kinds) -> tuple[CrystalClassifier, ClassReport]:
    return classes_reported(many, kinds)


@pytest.mark.parametrize(("loss", "said"), [(0.3, None), (0.67, "hardly better"), (0.8, "no better")])
def test_classes_that_are_hardly_learned_are_said_to_be(classified, loss: float, said: str | None) -> None:
    report = replace(classified[1], errors={"ridge": loss, "shares": 0.69}, magpie={"ridge": 0.68})
    text = classes_as_text(report)
    assert text.count("caution: ") == (said is not None)
    assert said is None or f"caution: ridge is {said} than a guess of the shares of the classes" in text
    text = classes_as_text(replace(report, errors={"ridge": 0.3, "shares": 0.69}, magpie={"ridge": 0.2}))
    assert "the same choice of regressors has a lower log loss, 0.2" in text


def test_numbers_of_a_report_on_classes_are_those_of_the_held_out_predictions(classified, kinds) -> None:
    model, report = classified
    names, shares = model.classes_[report.decided], model.held_out_
    assert report.errors["ridge"] == pytest.approx(log_loss(kinds, shares))
    expected = accuracy_score(kinds, names), balanced_accuracy_score(kinds, names)
    assert report.accuracies["held-out predictions"] == pytest.approx(expected)
    np.testing.assert_array_equal(report.confusion, confusion_matrix(kinds, names))
    text = classes_as_text(report)
    right, each = report.accuracies["on Magpie statistics"]
    assert f"on Magpie statistics: accuracy {right:.1%}, mean over the classes {each:.1%}" in text
    found = re.search(r"log loss by cross-validation +vectors +Magpie\n  ridge +(\S+) +(\S+)", text)
    assert [float(shown) for shown in found.groups()] == pytest.approx([report.error, report.magpie["ridge"]], rel=1e-3)
    assert f"most frequent class: accuracy {np.unique(kinds, return_counts=True)[1].max() / len(kinds):.1%}" in text
    assert f"from {report.error:.3g} now" in text
    assert f"with twice the labels ({2 * MANY}) expect a log loss of about {report.told(report.expected[1])}" in text


def test_magpie_statistics_of_classes_are_tried_on_the_folds_of_the_vectors(classified, many) -> None:
    """On the vectors in their place the errors are those of the vectors, to the digit."""
    model, report = classified
    regressor, weights = model.candidates(0)["ridge"], row_weights(report.truth, balanced=True)
    own = try_regressor(regressor, model.domain_.vectors.astype(np.float64), report.truth, weights, model.splits_)
    assert own.loss == report.errors["ridge"]
    np.testing.assert_array_equal(own.probabilities, report.shares)
    other = try_regressor(regressor, magpie_statistics(many), report.truth, weights, model.splits_)
    assert report.magpie == {"ridge": other.loss}
    assert other.loss != own.loss


def test_learning_curve_of_classes_has_their_shares_and_ends_at_all_labels(classified) -> None:
    _, report = classified
    assert [count for count, _ in report.learning] == [MANY // 4, MANY // 2, MANY]
    assert report.learning[-1][1] == report.error
    slope = np.polyfit(*np.log(np.array(report.learning)).T, 1)[0]
    assert slope < 0
    assert report.expected == (2 * MANY, pytest.approx(report.error * 2**slope))


def test_a_page_on_classes_has_their_pictures_without_a_network(classified, tmp_path) -> None:
    write_classes_page(classified[1], ["lost-7"], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count('src="data:image/png;base64,') == 3
    for words in ("held-out probabilities", "Confusion matrix", "Log loss against", "so$ft", "<code>lost-7</code>"):
        assert words in page


def test_near_duplicates_of_several_classes_are_listed_first(many, kinds, tmp_path) -> None:
    rows = np.r_[np.arange(MANY), 3, 5]
    labels = np.append(kinds, [kinds[3], "hard" if kinds[5] != "hard" else "so$ft"])
    _, report = classes_reported(many[rows], labels)
    first, *others = report.twins  # others are in the data already
    assert (set(first["ids"]), set(first["labels"])) == ({"c5", f"c{MANY + 1}"}, {"hard", "so$ft"})
    assert {"c3", f"c{MANY}"} in [set(one["ids"]) for one in others]
    assert all(len(set(one["labels"])) == 1 for one in others)
    write_classes_page(report, [], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert f"<td><code>c5</code> <code>c{MANY + 1}</code> </td>" in page
    assert f"{len(report.twins)} sets of near-duplicates" in page


def test_parts_for_which_classes_have_too_few_labels_are_left_out_and_it_is_said_why(many, kinds, tmp_path) -> None:
    few = np.r_[np.flatnonzero(kinds == "hard")[:14], np.flatnonzero(kinds != "hard")[:3]]
    _, report = classes_reported(many[few], kinds[few])
    assert report.learning == [(17, report.error)]
    assert report.expected is None
    write_classes_page(report, [], tmp_path / "page.html")
    text, page = classes_as_text(report), (tmp_path / "page.html").read_text()
    assert "no picture of calibration: it needs 20 labels, and there are 17" in text
    assert "no learning curve: 50% of the labels are 9, and it needs 10" in text
    assert "with twice the labels" not in text
    assert page.count('src="data:image/png;base64,') == 1
    assert "no learning curve" in page
    rare = np.r_[np.flatnonzero(kinds == "hard")[:20], np.flatnonzero(kinds != "hard")[:3]]
    _, report = classes_reported(many[rare], kinds[rare])
    (left_out,) = report.left_out
    assert left_out.startswith("no learning curve: with 50% of the labels fewer than 2 of the class 'so$ft'")


def test_a_report_in_decades_names_them_and_says_as_which_factor(points, moduli, tmp_path) -> None:
    _, report = reported(points, 10.0 ** (moduli - 8), "auto")
    text = as_text(report)
    write_pages([report], [], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    found = re.search(r"mean absolute error, decades +vectors +Magpie +in the labels' unit\n  ridge +(\S+)", text)
    assert float(found[1]) == pytest.approx(report.error, rel=1e-3)
    own, guess = report.told(report.error), report.told(report.errors["median"])
    assert own == f"{report.error:.3g} decades (a factor of {10**report.error:.3g})"
    for said in (own, guess):
        assert said in text
        assert said in page
    assert f"{report.raw_errors['ridge']:.4g}" in text
    assert f"expect an error of about {report.told(report.expected[1])}" in text
    assert f"R2 of the held-out predictions, on the scale log10: {report.r2:.3f}" in text
    assert page.count("(decades)") == 3  # tables of regressors, of fifths and of the hardest crystals


def test_errors_on_another_scale_are_told_there_beside_the_labels_unit(points, moduli) -> None:
    model, report = reported(points, moduli, "yeo-johnson")
    (learned,) = model.targets_
    z, held = learned.scale.forward(moduli), learned.conformal.held_out_
    assert report.error == pytest.approx(mean_absolute_error(z, held))
    assert report.r2 == pytest.approx(r2_score(z, held))
    assert report.raw_errors["ridge"] == pytest.approx(mean_absolute_error(moduli, report.predicted))
    assert "mean absolute error, Yeo-Johnson units" in as_text(report)


def test_errors_of_huge_values_that_are_not_transformed_are_in_their_unit(points, moduli) -> None:
    huge = moduli * 2.0**200
    _, report = reported(points, huge, "none")
    _, plain = reported(points, moduli, "none")
    assert report.error == mean_absolute_error(huge, report.predicted) == pytest.approx(plain.error * 2.0**200)
    assert report.r2 == pytest.approx(plain.r2)
    assert "unit" not in as_text(report)
    assert [error / 2.0**200 for _, error in report.learning] == pytest.approx([error for _, error in plain.learning])


def test_what_is_fine_tuned_in_vain_is_in_the_losses_and_is_not_chosen() -> None:
    class InVain:
        """What fine-tuning gives where no step from the ridge helps."""

        def __init__(self, ridge) -> None:
            self.beside = ridge
            self.moved = False

    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 4))
    labels, sides, ridge = 10 ** (2 * vectors[:, 0]), np.zeros(60, np.int64), {"ridge": READOUTS["ridge"]}
    given = vectors, labels, np.ones(60), None, np.arange(60), sides, ridge, "auto", 5, 0
    learned = choose(*given, fine_tune=lambda rows, ridge, *rest: InVain(ridge))
    assert learned.name == "ridge"
    assert learned.losses.keys() == learned.errors.keys() == {"median", "ridge", "fine-tuning"}
    assert learned.losses["ridge"] == pytest.approx(np.abs(learned.conformal.held_out_ - np.log10(labels)).mean())
