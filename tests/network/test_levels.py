"""Levels that electrons fill: one electron after the other says the same, and closed shells have a gap."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pymatgen.core import Element, Structure

from skdim import CrystalPointSetTransformer
from skdim.network.batches import Batch, collate
from skdim.network.levels import LEVEL_COLUMNS, WIDTHS, atomic_levels, filled_levels, filling_energy
from tests.daily import slow
from tests.handmade import face_centred
from tests.small import handful, random

_ROOM = {"s": 2, "p": 6, "d": 10, "f": 14}


def batch_of(*structures: Structure) -> Batch:
    points = CrystalPointSetTransformer(site_features=["Number"]).fit_transform(list(structures))
    return collate(points, np.arange(len(structures)))


def by_name(*structures: Structure) -> dict[str, list[float]]:
    return dict(zip(LEVEL_COLUMNS, filled_levels(batch_of(*structures)).T.tolist(), strict=True))


def rock_salt(cation: str, anion: str) -> Structure:
    return face_centred(5.0, [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def slow_levels(structure: Structure) -> np.ndarray:
    """Fill the levels of pymatgen's table in small steps, and average those of the last and of the next electrons."""
    shares: dict[Element, float] = {}
    atoms = sum(site.species.num_atoms for site in structure)
    for site in structure:
        for species, amount in site.species.items():
            element = Element(species.symbol)
            shares[element] = shares.get(element, 0.0) + amount / atoms
    levels, electrons = [], 0.0
    for element, share in shares.items():
        occupied = {f"{n}{letter}": count for n, letter, count, *_ in element.full_electronic_structure}
        for orbital, energy in element.atomic_orbitals.items():
            if energy > -1.2:
                levels.append((energy, share * _ROOM[orbital[-1]]))
                electrons += share * occupied[orbital]
    levels.sort()
    step = 1e-4
    edges = np.cumsum([room for _, room in levels])

    def level(count: float) -> float:
        """Level of an electron; what no level has room for is free."""
        place = int(np.searchsorted(edges, count))
        return levels[place][0] if place < len(levels) else 0.0

    below = [np.mean([level(electrons - s) for s in np.arange(step / 2, width, step)]) for width in WIDTHS]
    above = [np.mean([level(electrons + s) for s in np.arange(step / 2, width, step)]) for width in WIDTHS]
    return np.concatenate([below, above, np.subtract(above, below)])


@pytest.mark.parametrize(
    "structure", [*handful()[::5], *slow(*handful()[1:5])], ids=lambda s: s.composition.reduced_formula
)
def test_one_electron_after_the_other_gives_the_same_levels(structure: Structure) -> None:
    fast = filled_levels(batch_of(structure))[0].numpy()
    assert fast == pytest.approx(slow_levels(structure), abs=2e-3)  # the steps are that coarse


def test_closed_shells_have_a_gap_and_open_ones_have_none() -> None:
    gaps = by_name(rock_salt("Na", "Cl"), rock_salt("Mg", "O"), rock_salt("Ti", "N"), rock_salt("Na", "O"))["gap0.05"]
    chlorine, sodium = (Element(e).atomic_orbitals for e in ("Cl", "Na"))
    assert gaps[0] == pytest.approx(sodium["3s"] - chlorine["3p"], abs=1e-5)
    assert gaps[1] > 0.1
    assert gaps[2] == pytest.approx(0.0, abs=1e-5)  # an electron is left in the levels of titanium
    assert gaps[3] == pytest.approx(0.0, abs=1e-5)  # an electron is missing in those of oxygen


def test_levels_move_with_occupancies_without_jumps() -> None:
    """Sodium leaves its site little by little."""
    base = rock_salt("Na", "Cl")
    steps = []
    for missing in np.linspace(0.0, 0.2, 41):
        some = base.copy()
        for i, site in enumerate(some):
            if site.species_string == "Na":
                some[i] = {"Na": 1.0 - missing}
        steps.append(some)
    values = filled_levels(batch_of(*steps))
    # Per step the number of electrons changes by less than a tenth of the narrowest window.
    assert float(values.diff(dim=0).abs().max()) < 0.05
    assert float((values[0] - values[-1]).abs().max()) > 0.1


def test_levels_do_not_depend_on_the_cell_or_on_the_crystals_beside() -> None:
    structures = handful()
    together = filled_levels(batch_of(*structures))
    alone = torch.cat([filled_levels(batch_of(s)) for s in structures])
    larger = filled_levels(batch_of(*(s.make_supercell([2, 1, 1], in_place=False) for s in structures)))
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(together, larger, rtol=0, atol=1e-5)


def test_the_energy_of_a_filling_is_that_of_its_electrons_one_by_one() -> None:
    room, energy = random(3, 7).abs(), random(7, seed=1).sort().values
    counts = torch.tensor([[-1.0, 0.0, 0.37, 1.9, 3.1, 50.0]], dtype=torch.float64).expand(3, -1)
    fast = filling_energy(room, energy, counts)
    for row in range(3):
        for column, count in enumerate(counts[row].tolist()):
            left, total = max(count, 0.0), 0.0
            for size, level in zip(room[row].tolist(), energy.tolist(), strict=True):
                taken = min(size, left)
                total, left = total + taken * level, left - taken
            assert float(fast[row, column]) == pytest.approx(total, abs=1e-12)


def test_the_table_is_that_of_pymatgen_and_every_element_has_electrons() -> None:
    levels = atomic_levels()
    assert bool((levels.energy.diff() >= 0).all())
    assert bool((levels.electrons[1:] > 0).all())
    assert bool((levels.electrons <= levels.capacity.sum(1)).all())
    for number in (1, 8, 26, 92):
        own = {round(e, 6) for e in Element.from_Z(number).atomic_orbitals.values() if e > -1.2}
        assert {round(float(e), 6) for e in levels.energy[levels.capacity[number] > 0]} == own
