"""What is said of crystals that are like the known ones, and of those that are not."""

import numpy as np
import pytest

from skdim import DeepInfoMaxEmbedder
from skdim.evaluation import ApplicabilityDomain
from skdim.evaluation._applicability import nearest
from skdim.exceptions import StructureError
from skdim.pretrained import load_pretrained
from tests.bundled import OTHERWISE, sample
from tests.handmade import face_centred, perovskite, salt, silicon


@pytest.fixture(scope="module")
def domain() -> ApplicabilityDomain:
    return ApplicabilityDomain(load_pretrained()).fit([salt(), silicon(), *sample(30)])


def test_a_known_crystal_is_at_no_distance_from_itself_in_any_cell(domain) -> None:
    rng = np.random.default_rng(0)
    for change in OTHERWISE.values():
        (found,) = domain.assess([change(salt(), rng)]).itertuples()
        assert found.distance < 1e-3
        assert found.percentile == 0
        assert found.nearest[0] == 0
        assert found.flags == ""


def test_what_no_known_crystal_has_is_said() -> None:
    known = ApplicabilityDomain(load_pretrained()).fit([salt(), silicon()])
    mixed = face_centred(6, [{"Na": 0.5, "K": 0.5}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    table = known.assess([mixed, perovskite(), silicon()])
    assert table["new_elements"].tolist() == ["K", "O Ti Sr", ""]
    assert table["new_disorder"].tolist() == [True, False, False]
    assert table["larger_cell"].tolist() == [False, True, False]
    assert table["flags"][1].startswith("new elements O Ti Sr; 5 sites where at most 2 were seen")
    assert (table["distance"] > 1e-6).tolist() == [True, True, False]


def test_what_the_pretraining_has_not_seen_is_said_too() -> None:
    embedder = DeepInfoMaxEmbedder(max_epochs=0, random_state=0).fit([salt(), silicon()])
    mixed = face_centred(6, [{"Na": 0.5, "K": 0.5}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    table = ApplicabilityDomain(embedder).fit([mixed, perovskite()]).assess([mixed, perovskite(), silicon()])
    assert table["flags"][0] == "not in the pretraining: K, disorder"
    assert table["flags"][1] == "not in the pretraining: O, Ti, Sr, 5 sites (at most 2)"
    assert table["flags"][2].startswith("new element Si")
    assert "pretraining" not in table["flags"][2]
    assert table["pretraining_percentile"][2] == 0


def test_the_percentile_is_a_share_of_the_known_crystals(domain) -> None:
    vectors = domain.domain_.vectors
    between = np.abs(vectors[:, None].astype(float) - vectors).mean(2)
    np.fill_diagonal(between, np.inf)
    table = domain.assess(sample(5, seed=9))
    assert len(table) == 5
    for found in table.itertuples():
        assert found.percentile == pytest.approx(100 * np.mean(between.min(1) < found.distance))


def test_the_nearest_are_those_of_a_plain_search() -> None:
    rng = np.random.default_rng(0)
    queries, known = rng.normal(size=(700, 3)), rng.normal(size=(40, 3))
    distance, row = nearest(queries, known, 3)
    plain = np.abs(queries[:, None] - known).mean(2)
    np.testing.assert_array_equal(row, np.argsort(plain, axis=1)[:, :3])
    np.testing.assert_allclose(distance, np.sort(plain, axis=1)[:, :3])


def test_unusable_crystals_and_none_at_all_are_refused(domain) -> None:
    with pytest.raises(StructureError, match="row 1"):
        domain.assess([salt(), None])
    with pytest.raises(ValueError, match="X holds no crystals"):
        ApplicabilityDomain(load_pretrained()).fit([])
    with pytest.raises(ValueError, match=r"embedder must be .*, got 3"):
        ApplicabilityDomain(3).fit([salt()])
