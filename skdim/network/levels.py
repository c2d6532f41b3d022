"""Where the electrons of a crystal would sit if its atoms only exchanged them: the levels around the last one filled.

The valence levels of the free atoms [1]_ are filled from the lowest one up with all valence electrons of the crystal,
whichever atoms they come from: oxygen's are filled by the electrons of sodium. Where the electrons end at a full level
there is a gap to the next one, as in an insulator; where they end within a level there is none, as in a metal. No
structure enters, and no label.

The energy of the filling is piecewise linear in the number of electrons, so its mean slopes over a window of electrons
move with the composition without jumps, as occupancies do.

References
----------
.. [1] Kotochigova, Levine, Shirley, Stiles and Clark, "Local-density-functional calculations of the energy of atoms",
   Physical Review A 55 (1997) 191; NIST Standard Reference Database 141, as pymatgen has it.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import torch

from skdim.points.sitetypes import N_ATOMIC_NUMBERS

if TYPE_CHECKING:
    from skdim.network.batches import Batch

# Electrons an atom: widths of the windows around the last electron, from what decides whether there is a gap to what a
# whole electron more or less would cost. In narrower ones the rounding of occupancies, such as 0.3333, would show.
WIDTHS = (0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0)
LEVEL_COLUMNS = tuple(f"{side}{width:g}" for side in ("below", "above", "gap") for width in WIDTHS)
_CAPACITY = {"s": 2, "p": 6, "d": 10, "f": 14}
_LAST_IN_TABLE = 92


class Levels(NamedTuple):
    """Levels of all elements in ascending order."""

    energy: torch.Tensor  # (L,) in Hartree
    capacity: torch.Tensor  # (119, L) electrons that an atom of each element can have there
    electrons: torch.Tensor  # (119,) that an atom of each element has


@lru_cache(maxsize=4)
def atomic_levels(device: str = "cpu") -> Levels:
    """Read the table; elements beyond uranium have its levels, and the further electrons in its f level."""
    table = json.loads((files("skdim.network") / "atomic_levels.json").read_text(encoding="utf-8"))
    by_number = dict(enumerate(table.values(), 1))
    rows = [
        (energy, number, _CAPACITY[orbital[-1]], electrons + (orbital[-1] == "f") * max(number - _LAST_IN_TABLE, 0))
        for number in range(1, N_ATOMIC_NUMBERS)
        for orbital, (energy, electrons) in by_number[min(number, _LAST_IN_TABLE)].items()
    ]
    rows.sort()
    capacity = torch.zeros(N_ATOMIC_NUMBERS, len(rows), dtype=torch.float64)
    electrons_of = torch.zeros(N_ATOMIC_NUMBERS, dtype=torch.float64)
    for place, (_, number, most, electrons) in enumerate(rows):
        capacity[number, place] = most
        electrons_of[number] += min(electrons, most)
    energy = torch.tensor([row[0] for row in rows], dtype=torch.float64)
    return Levels(*(values.to(device) for values in (energy, capacity, electrons_of)))


def filled_levels(batch: Batch) -> torch.Tensor:
    """Levels around the last electron of each crystal (B, `LEVEL_COLUMNS`), in Hartree.

    Mean levels of the last electrons, of the next ones, and the difference of the two, for each of `WIDTHS`. What no
    level has room for is at zero, where electrons are free.
    """
    share = batch.element_shares.double()  # (K, 119)
    levels = atomic_levels(str(batch.fractions.device))
    capacity = share @ levels.capacity  # (K, L)
    present = torch.nonzero(capacity.sum(0)).squeeze(1)  # of the levels, those that some crystal has
    own = torch.cat([capacity.index_select(1, present), (share @ levels.electrons).unsqueeze(1)], 1)
    # How much of a crystal is of each site type: far less to multiply than a row for each site.
    place = batch.crystal * len(share) + batch.site_type
    amount = torch.bincount(place, batch.site_weight.double(), minlength=len(batch) * len(share))
    by_crystal = amount.view(len(batch), -1) @ own
    room, electrons = by_crystal[:, :-1], by_crystal[:, -1:]
    widths = torch.tensor(WIDTHS, dtype=torch.float64, device=room.device)
    around = torch.cat([-widths.flip(0), widths.new_zeros(1), widths])
    energy = filling_energy(room, levels.energy.index_select(0, present), electrons + around)  # (B, 27)
    last = len(WIDTHS)
    below = ((energy[:, last : last + 1] - energy[:, :last]).flip(1)) / widths
    above = (energy[:, last + 1 :] - energy[:, last : last + 1]) / widths
    return torch.cat([below, above, above - below], 1).to(batch.site_weight.dtype)


def filling_energy(room: torch.Tensor, energy: torch.Tensor, electrons: torch.Tensor) -> torch.Tensor:
    """Energy of numbers of electrons (B, T) in levels (L,), ascending, with room (B, L) in each."""
    ends = room.cumsum(1)
    below = torch.nn.functional.pad((room * energy).cumsum(1), (1, 0))  # of all levels before
    begins = torch.nn.functional.pad(ends, (1, 0))
    count = electrons.clamp_min(0.0).minimum(ends[:, -1:]).contiguous()
    level = torch.searchsorted(ends.contiguous(), count).clamp_max(len(energy) - 1)
    return below.gather(1, level) + (count - begins.gather(1, level)) * energy[level]
