"""Damaged CIFs that are read give the crystal that pymatgen reads: none is another one in silence."""

import os

import pytest

from tests.crystals.test_written import compare_mutations

CASES = 5000 if os.environ.get("SKDIM_TRUST") == "long" else 150


@pytest.mark.slow
def test_damaged_cifs_give_no_other_crystal():
    outcomes, differing = compare_mutations(CASES, seed=2)
    print(f"damaged CIFs: {dict(outcomes)}")
    assert not differing
    assert outcomes["same"] > CASES / 10
