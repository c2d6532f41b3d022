"""What a CIF says of its symmetry: the operations that it lists, or the settings that it may mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from gemmi import cif
from numpy.typing import NDArray

from skdim.crystals.ciftags import Tags, number
from skdim.crystals.limits import current_limits
from skdim.crystals.operations import fits_cell, listed_operations
from skdim.crystals.settings import Setting, contradiction, named_settings, standard_short_symbol

__all__ = ["Symmetry", "symmetry_of"]


_SYMBOLS = (
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m",
    "_space_group_name_h-m_full",
)
_HALLS = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
_NUMBERS = ("_space_group_it_number", "_symmetry_int_tables_number")
_ORDINARY = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
_LISTS = (
    *_ORDINARY,
    "_space_group_symop_magn_operation_xyz",
    "_space_group_symop_magn_operation_algebraic",
)
_CENTERINGS = "_space_group_symop_magn_centering_xyz"


@dataclass(frozen=True, eq=False)
class Symmetry:
    """What a file says of its symmetry."""

    settings: Sequence[Setting]  # one, or those that it may mean
    said: str = ""  # in the words of the file
    doubt: str = ""  # how the file contradicts itself
    named: Sequence[Setting] = ()  # what the space group says, where the operations contradict it


def symmetry_of(tags: Tags, lattice: NDArray[np.float64]) -> Symmetry:
    """Read the operations that a file lists, or else find the settings that it may mean."""
    symbol, hall, code = tags.text(*_SYMBOLS), tags.text(*_HALLS), tags.text("_space_group_it_coordinate_system_code")
    number = _group_number(tags)
    for tag in _LISTS:
        if words := _given(tags, tag):
            return _listed(tags, tag, words, (symbol, hall, number), lattice)
    _refuse_second_words(tags)
    said = ", ".join([repr(name) for name in (symbol, hall) if name] + [f"number {number}"] * (number is not None))
    settings = list(named_settings(symbol, hall, number, code))
    if not settings and (symbol or hall):
        raise ValueError(f"the space group {said} is not known, and no symmetry operations are listed")
    if not settings:
        raise ValueError(
            "neither symmetry operations nor a space group are given; _space_group_symop_operation_xyz 'x,y,z' says "
            "that all atoms of the cell are listed"
        )
    if symbol and not hall and (group := standard_short_symbol(symbol, code)):
        # "P 21/c" is the standard setting, but databases use it for any setting of the space group; centred cells have
        # a symbol of their own only where the standard one is centred.
        settings = [s for s in named_settings("", "", group, "") if symbol[0].upper() != "P" or s[1][0] == "P"]
    fitting = [setting for setting in settings if fits_cell(setting[2], lattice)]
    if not fitting:
        raise ValueError(f"the cell lengths and angles are not those of the space group {said}")
    return Symmetry(fitting, said)


def _given(tags: Tags, tag: str) -> list[str]:
    """Return the operations of a list as written, without those that are not given."""
    return [word for word in tags.column(tag) if not cif.is_null(word)]


def _texts(words: Sequence[str]) -> tuple[str, ...]:
    """Return operations without quotes."""
    return tuple(cif.as_string(word) for word in words)


def _refuse_second_words(tags: Tags) -> None:
    """Refuse a file that names two space groups, under an old and a new tag."""
    for names in (_SYMBOLS, _HALLS, _NUMBERS):
        words = dict.fromkeys(word for name in names if (word := tags.text(name)))
        groups = [{group for group, _, _ in _named(names, word)} for word in words]
        groups = [group for group in groups if group]
        if len(groups) > 1 and not set.intersection(*groups):
            raise ValueError(f"the file names two space groups, {' and '.join(map(repr, words))}")


def _named(names: tuple[str, ...], word: str) -> tuple[Setting, ...]:
    """List the settings that one word may mean; none if it is not known."""
    try:
        if names is _NUMBERS:
            return named_settings("", "", int(word), "")
        return named_settings("", word, None, "") if names is _HALLS else named_settings(word, "", None, "")
    except ValueError:  # which is said where the word is used
        return ()


def _group_number(tags: Tags) -> int | None:
    """Read the number of the space group."""
    word = tags.text(*_NUMBERS)
    if not word:
        return None
    value = number(word[: current_limits().word], "the number of the space group")
    if value != int(value) or not 1 <= value <= 230:
        raise ValueError(f"the number of the space group is {word[:20]}; 1 to 230 are accepted")
    return int(value)


def _listed(
    tags: Tags, tag: str, words: list[str], named: tuple[str, str, int | None], lattice: NDArray[np.float64]
) -> Symmetry:
    """Read the operations that a file lists."""
    magnetic = "magn" in tag
    centerings = tuple(cif.as_string(word) for word in tags.column(_CENTERINGS)) if magnetic else ()
    listed = _texts(words)
    operations = listed_operations(listed, centerings)
    others = [_given(tags, other) for other in _ORDINARY if other != tag and not magnetic]
    if any(other and not listed_operations(_texts(other)).same_as(operations) for other in others):
        raise ValueError(f"{' and '.join(_ORDINARY)} list different operations")
    if not fits_cell(operations, lattice):
        raise ValueError("the cell lengths and angles do not have the symmetry of the operations that are listed")
    # What magnetic structures call their space group may be that of the structure without moments.
    doubt = "" if magnetic else contradiction(listed, *named)
    settings = named_settings(*named, "") if doubt else ()
    return Symmetry([(0, "listed", operations)], doubt=doubt, named=[s for s in settings if fits_cell(s[2], lattice)])
