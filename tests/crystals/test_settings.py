"""Every setting of every space group: with what a CIF says of it, the crystal of the setting or a refusal."""

import pytest

from skdim.crystals.cif import read_cif
from tests.crystals.settings530 import SETTINGS, about, crystal_in, is_the_same, listed, write

OLD_NAMES = {"1": "S", "2": "Z", "H": "H", "R": "R"}


def ways_to_say(setting):
    """What a CIF may say of a setting, by whether it must be enough."""
    told = about(setting)
    full, short = told.international_full.replace("_", ""), told.international_short.replace("_", "")
    choice = told.choice
    enough = [listed(setting), f"_space_group_name_Hall '{told.hall_symbol}'"]
    enough.append(f"{listed(setting)}\n_space_group_name_H-M_alt '{full}'\n_space_group_IT_number {told.number}")
    perhaps = [f"_symmetry_space_group_name_H-M '{name}'" for name in (full, short)]
    perhaps.append(f"_space_group_IT_number {told.number}")
    if choice:
        perhaps += [f"_space_group_name_H-M_alt '{name} :{choice}'" for name in (full, short)]
        perhaps.append(f"_space_group_IT_number {told.number}\n_space_group_IT_coordinate_system_code {choice}")
    if choice in OLD_NAMES:
        perhaps.append(f"_symmetry_space_group_name_H-M '{full} {OLD_NAMES[choice]}'")
    return [(symmetry, True) for symmetry in enough] + [(symmetry, False) for symmetry in perhaps]


def check(setting, seed):
    """Write a crystal in each of the ways, and count those that are read."""
    lattice, rows = crystal_in(setting, seed)
    read = 0
    for symmetry, must in ways_to_say(setting):
        try:
            crystal = read_cif(write(lattice, rows, symmetry))
        except ValueError:
            assert not must, symmetry
        else:
            assert is_the_same(crystal, lattice, rows), symmetry
            read += 1
    return read


# The monoclinic choices of axes, orthorhombic ones of origin, rhombohedral axes and cubic groups are among them.
@pytest.mark.parametrize("setting", [82, 228, 433, 434, *range(1, 531, 92)])
def test_a_crystal_in_a_setting_is_that_crystal_or_refused(setting):
    assert check(setting, seed=0) >= 3


@pytest.mark.slow
def test_all_settings():
    # With a choice of origin or axes, nearly all are read.
    assert sum(check(setting, seed=1) for setting in SETTINGS) > 2800
