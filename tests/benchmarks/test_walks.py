"""Two walks through the package stay as short as they are: a hop that adds nothing makes the package harder to read."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import ModuleType

import pytest

from tests.small import bundled


@pytest.fixture
def walks(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("walks")


def test_a_list_of_structures_meets_few_files_on_its_way_to_vectors(walks: ModuleType) -> None:
    met = walks.through_transform(bundled(12)[0])
    files, functions = walks.counts(met)
    assert 20 < files <= 28
    assert functions <= 149
    first, *_, last = met
    assert first == ("embedder.py", "DeepInfoMaxEmbedder.transform")
    assert met[first] == met["points/assembly.py", "assemble"] == 1
    assert last[0] == "crystals/rows.py"  # where rows get their labels back
    assert walks.lines(met)[0].startswith("embedder.py  ")


def test_labels_meet_few_files_on_their_way_to_a_regressor(walks: ModuleType) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of so few epochs
        files, functions = walks.counts(walks.through_fit(*bundled(24)))
    assert 35 < files <= 43
    assert functions <= 280
