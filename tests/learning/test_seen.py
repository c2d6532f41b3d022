"""What a pretraining has seen: counts, places, and their way through a file."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from skdim import DeepInfoMaxEmbedder
from skdim.evaluation._applicability import nearest
from skdim.exceptions import ModelFileError
from skdim.learning.statefile import read_state
from skdim.learning.tensorfile import read_tensors, write_tensors
from tests.handmade import salt
from tests.small import bundled, mixture


@pytest.fixture(scope="module")
def embedder() -> DeepInfoMaxEmbedder:
    return DeepInfoMaxEmbedder(max_epochs=0, random_state=0).fit([*bundled(199)[0], mixture()])


def test_it_counts_what_there_was(embedder) -> None:
    seen, crystals = embedder.state_.seen, [*bundled(199)[0], mixture()]
    for symbol, z in (("O", 8), ("K", 19), ("Pu", 94)):
        assert seen.elements[z] == sum(symbol in {e.symbol for e in c.composition.elements} for c in crystals)
    assert (seen.crystals, seen.disordered) == (200, 1)
    points = embedder.featurize(crystals)
    assert seen.sites == max(int(points[k : k + 1].multiplicity.sum()) for k in range(200))


def test_places_tell_distances_as_all_columns_do(embedder) -> None:
    known, new = embedder.transform(bundled(199)[0]), embedder.transform(bundled(320)[0][199:])
    by_all = nearest(new, known, 1)[0][:, 0]
    assert spearmanr(embedder.state_.seen.percentile(new), by_all)[0] > 0.9


def test_percentiles_are_low_among_the_known_and_high_far_away(embedder) -> None:
    seen = embedder.state_.seen
    assert (seen.percentile(embedder.transform(bundled(20)[0])) == 0).mean() > 0.9
    far = 3 * np.sign(seen.axes[:1])
    assert seen.percentile(far)[0] > 99
    assert seen.percentile(far[:0]).shape == (0,)


def test_one_crystal_alone_and_equal_ones() -> None:
    for crystals in ([salt()], [salt(), salt(), salt()]):
        found = DeepInfoMaxEmbedder(max_epochs=0, random_state=0).fit(crystals)
        assert found.state_.seen.percentile(found.transform([salt()])).tolist() == [0.0] or len(crystals) == 1
        assert np.isfinite(found.state_.seen.spacing).all()


def test_a_pretraining_that_goes_on_has_seen_both_sets(embedder) -> None:
    going_on = DeepInfoMaxEmbedder.from_state(embedder.state_).set_params(warm_start=True, max_epochs=0, random_state=0)
    going_on.fit([salt(), salt()])
    seen, before = going_on.state_.seen, embedder.state_.seen
    assert seen.crystals == before.crystals + 2
    assert seen.elements[11] == before.elements[11] + 2
    assert seen.disordered == 1
    assert len(seen.places) == 2


def test_it_travels_in_the_file_and_may_be_missing(embedder, tmp_path) -> None:
    embedder.save(tmp_path / "m")
    seen = DeepInfoMaxEmbedder.load(tmp_path / "m").state_.seen
    vectors = embedder.transform(bundled(230)[0][199:])
    np.testing.assert_array_equal(seen.percentile(vectors), embedder.state_.seen.percentile(vectors))
    DeepInfoMaxEmbedder.from_state(replace(embedder.state_, seen=None)).save(tmp_path / "m")
    assert DeepInfoMaxEmbedder.load(tmp_path / "m").state_.seen is None


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("seen/axes", lambda a: a[:, :-1], "seen/axes must be of shape"),
        ("seen/places", lambda a: a[:0], "seen/places must be of int8"),
        ("seen/places", lambda a: a.astype(np.float32), "seen/places must be of int8"),
        ("seen/elements", lambda a: -a, "seen/elements must be counts"),
        ("seen/spacing", lambda a: a * np.nan, "seen/spacing must be finite"),
    ],
)
def test_what_does_not_fit_is_refused(embedder, tmp_path, name, change, words) -> None:
    embedder.save(tmp_path / "m")
    facts, arrays = read_tensors(tmp_path / "m")
    write_tensors(
        tmp_path / "m", {k: v for k, v in facts.items() if k != "sha256"}, {**arrays, name: change(arrays[name])}
    )
    with pytest.raises(ModelFileError, match=words):
        read_state(tmp_path / "m")
