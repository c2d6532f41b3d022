"""CIF, read so that each atom row of the file is in the crystal, or the file is refused with what is wrong in it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from gemmi import cif
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from skdim.crystals.ciftags import Tags, chosen_block, document, is_crystal, tags_of
from skdim.crystals.crystal import Crystal
from skdim.crystals.disorder import without_crowding
from skdim.crystals.expansion import expand
from skdim.crystals.formula import compare, parse_formula
from skdim.crystals.labels import NamedElement, element_of_label, element_of_type
from skdim.crystals.limits import current_limits
from skdim.crystals.notes import Note
from skdim.crystals.sharing import Rows, shared_sites
from skdim.crystals.symmetry import (
    Operations,
    Setting,
    contradiction,
    fits_cell,
    listed_operations,
    named_settings,
    standard_short_symbol,
)

__all__ = ["read_cif"]

_CELL = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
_COORDINATES = ("fract_x", "fract_y", "fract_z")
_SYMBOLS = (
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m",
    "_space_group_name_h-m_full",
)
_HALLS = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
_NUMBERS = ("_space_group_it_number", "_symmetry_int_tables_number")
_LISTS = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop_magn_operation_xyz",
    "_space_group_symop_magn_operation_algebraic",
)
_CENTERINGS = "_space_group_symop_magn_centering_xyz"
_MODULATED = re.compile(
    r"_(cell_modulation|cell_wave_vector|space_group_ssg|space_group_symop_ssg|atom_site_fourier|cell_subsystem)"
)
_MAGNETIC = re.compile(r"_(space_group_magn|space_group_symop_magn|atom_site_moment)")
_MANY = 9  # decimals of a coordinate that is not rounded
_SAME = 1e-4  # fractional; coordinates of one atom
_FRACTION = re.compile(r"([+-]?\d{1,20}(?:\.\d{0,20})?)/(\d{1,20})")


def read_cif(text: str, block: str | None = None) -> Crystal:
    """Read one crystal of a CIF.

    Parameters
    ----------
    text : str
        The content of a file.
    block : str, optional
        The name of its data block. By default the first block with a cell or atoms is read, and never another.

    Returns
    -------
    Crystal
        Each atom row is in it, with the label of its row; what had to be decided is in its notes.

    Raises
    ------
    ValueError
        If the file does not say what the crystal is, or contradicts itself: what is wrong, and where.
    """
    blocks = document(text)
    crystals = [one for one in blocks if is_crystal(one)]
    chosen = chosen_block(blocks, crystals, block)
    try:
        tags = tags_of(chosen)
        crystal = _crystal(tags)
    except ValueError as error:
        raise ValueError(f"data_{chosen.name.strip()}: {error}" if len(blocks) > 1 else str(error)) from error
    if block is None and len(crystals) > 1:
        note = Note(
            "a file with several crystals, of which the first is taken",
            f"data_{chosen.name.strip()} of {len(crystals)}",
        )
        crystal = _with_notes(crystal, [note])
    return crystal


def _with_notes(crystal: Crystal, notes: Sequence[Note]) -> Crystal:
    """Add notes to a crystal."""
    return replace(crystal, notes=(*crystal.notes, *notes))


# ---------------------------------------------------------------- the crystal of a block


def _crystal(tags: Tags) -> Crystal:
    """Read the crystal of a block."""
    _refuse_other_kinds(tags)
    lattice = _lattice(tags)
    rows, notes = _rows(tags, lattice)
    symmetry = _symmetry(tags, lattice)
    most = current_limits().images
    if len(rows.labels) * max(len(operations) for _, _, operations in symmetry.settings) > most:
        raise ValueError(
            f"{len(rows.labels)} atom rows times their symmetry operations; {most} images are read (limit images)"
        )
    if len(symmetry.settings) == 1:
        crystal = _build(rows, symmetry.settings[0][2], lattice)
    else:
        crystal, note = _decided(rows, symmetry, lattice, tags)
        notes.append(note)
    notes += _formula_notes(crystal, tags)
    if symmetry.doubt:
        notes += _resolved(crystal, symmetry, rows, tags)
    if any(_MAGNETIC.match(tag) for tag in tags.values):
        notes.append(Note("magnetic structures are read without their moments"))
    return _with_notes(crystal, notes) if notes else crystal


def _refuse_other_kinds(tags: Tags) -> None:
    """Refuse what is no crystal of three dimensions with its atoms at places."""
    for tag in tags.values:
        if _MODULATED.match(tag) and tags.text(tag):
            raise ValueError(
                f"a modulated structure ({tag}): its atoms have no fixed places in a cell; a three-dimensional "
                "approximant is needed"
            )
    if "_atom_site_group_pdb" in tags.values or "_entity_poly_entity_id" in tags.values:
        raise ValueError("a macromolecule in mmCIF; crystal structures with fractional coordinates are accepted")


def _number(word: str, what: str) -> float:
    """Read a number, without its uncertainty; fractions such as 1/3 too."""
    value = cif.as_number(word)
    if math.isnan(value):
        text = cif.as_string(word).strip()
        value = cif.as_number(text)
        if math.isnan(value) and (found := _FRACTION.fullmatch(text)) and int(found[2]):
            value = float(found[1]) / int(found[2])
    if not math.isfinite(value):
        raise ValueError(f"{what} is {word[:40]}; a number is needed")
    return value


def _lattice(tags: Tags) -> NDArray[np.float64]:
    """Make lattice vectors of the cell lengths and angles, the first along x, the second in the plane of x and y."""
    values = []
    for name in _CELL:
        word = (tags.column(f"_cell_{name}") or ["?"])[0]
        if cif.is_null(word):
            raise ValueError(f"_cell_{name} is missing; all three lengths and angles of the cell are needed")
        values.append(_number(word, f"_cell_{name}"))
    a, b, c, alpha, beta, gamma = values
    if min(a, b, c) <= 0 or not all(0 < angle < 180 for angle in (alpha, beta, gamma)):
        raise ValueError(
            f"the cell {', '.join(f'{v:g}' for v in values)} is none: lengths above 0 and angles up to 180 are needed"
        )
    # Exact for right angles and 60 and 120 degrees, of which cosines are rounded.
    cos_a, cos_b, cos_g = (_COSINES.get(angle, math.cos(math.radians(angle))) for angle in (alpha, beta, gamma))
    sin_g = math.sqrt(1 - cos_g**2)
    y = (cos_a - cos_b * cos_g) / sin_g
    height = 1 - cos_b**2 - y**2
    if height <= 1e-8:
        raise ValueError(f"the cell angles {alpha:g}, {beta:g} and {gamma:g} span no volume")
    return np.array([[a, 0, 0], [b * cos_g, b * sin_g, 0], [c * cos_b, c * y, c * math.sqrt(height)]])


_COSINES = {90.0: 0.0, 60.0: 0.5, 120.0: -0.5}


def _rows(tags: Tags, lattice: NDArray[np.float64]) -> tuple[Rows, list[Note]]:
    """Read the atom rows."""
    labels = [cif.as_string(word) for word in tags.column("_atom_site_label")]
    types = tags.column("_atom_site_type_symbol")
    n = len(labels or types)
    if n == 0:
        raise ValueError("no atom rows (_atom_site_label with coordinates)")
    if n > (most := current_limits().rows):
        raise ValueError(f"{n} atom rows; up to {most} are read (limit rows)")
    labels = labels or [f"{cif.as_string(word)} (row {k + 1})" for k, word in enumerate(types)]
    given = list(range(n))
    if flags := _full(tags.column("_atom_site_calc_flag"), n, "_atom_site_calc_flag"):
        given = [k for k in given if cif.as_string(flags[k]).lower() != "dum"]
    frac, decimals = _coordinates(tags, labels, given, lattice)
    occupancy = _occupancies(tags, labels, given)
    named, notes = _elements(tags, labels, types, given)
    empty = [k for k, amount in zip(given, occupancy, strict=True) if amount == 0]
    if empty:
        notes.append(Note("sites with the occupancy 0 hold no atom", _some(labels[k] for k in empty)))
    kept = [place for place, amount in enumerate(occupancy) if amount > 0]
    if not kept:
        raise ValueError("no atom row holds an atom")
    species = types or labels
    rows = Rows(
        [labels[given[p]] for p in kept],
        [species[given[p]] for p in kept],
        [named[p] for p in kept],
        frac[kept],
        [occupancy[p] for p in kept],
        [decimals[p] for p in kept],
    )
    return rows, notes


def _full(column: list[str], n: int, tag: str) -> list[str]:
    """Return a column that must be as long as that of the labels, or that is not there."""
    if column and len(column) != n:
        raise ValueError(f"{tag} has {len(column)} values for {n} atom rows: they are not in one loop")
    return column


def _coordinates(
    tags: Tags, labels: Sequence[str], given: Sequence[int], lattice: NDArray[np.float64]
) -> tuple[NDArray[np.float64], list[int]]:
    """Read fractional coordinates, shape (r, 3), or make them of Cartesian ones whose axes are given.

    Beside them, the most decimals that each row has: the exact 0.5 says nothing, two thirds as 0.67 do.
    """
    names = [f"_atom_site_{name}" for name in _COORDINATES]
    columns = [_full(tags.column(name), len(labels), name) for name in names]
    if not any(columns):
        return _from_cartesian(tags, labels, given, lattice), [_MANY] * len(given)
    for name, column in zip(names, columns, strict=True):
        if not column:
            raise ValueError(f"{name} is missing; three coordinates are needed")
    words = [column[k] for column in columns for k in given]
    values = [cif.as_number(word) for word in words]
    frac = np.array(values).reshape(3, -1).T.copy()
    for place, axis in np.argwhere(~np.isfinite(frac)).tolist():
        row = given[place]
        frac[place, axis] = _number(columns[axis][row], f"atom row {labels[row]}: {names[axis]}")
    x, y, z = columns
    most = [max(_decimals(x[k]), _decimals(y[k]), _decimals(z[k])) for k in given]
    return frac, [count if count > 1 else _MANY for count in most]  # 0 and 0.5 are exact


def _decimals(word: str) -> int:
    """Count the decimals of a number as written; many for one that is a fraction or has an exponent."""
    whole, _, decimals = word.partition("(")[0].strip("'\"").partition(".")
    return len(decimals) if ((decimals or "0").isdigit() and whole.lstrip("+-").isdigit()) or not whole else _MANY


def _from_cartesian(
    tags: Tags, labels: Sequence[str], given: Sequence[int], lattice: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Make fractional coordinates of Cartesian ones by the matrix that the file gives for it."""
    names = [f"_atom_site_cartn_{axis}" for axis in "xyz"]
    columns = [_full(tags.column(name), len(labels), name) for name in names]
    if not all(columns):
        raise ValueError("the atoms have no coordinates (_atom_site_fract_x, _y and _z)")
    cart = np.array(
        [
            [_number(column[k], f"atom row {labels[k]}: {name}") for name, column in zip(names, columns, strict=True)]
            for k in given
        ]
    )
    for prefix, inverse in (("_atom_sites_fract_tran", False), ("_atom_sites_cartn_tran", True)):
        matrix = [[tags.text(f"{prefix}_matrix_{i}{j}") for j in "123"] for i in "123"]
        if all(all(row) for row in matrix):
            m = np.array([[_number(word, f"{prefix}_matrix") for word in row] for row in matrix])
            v = np.array([_number(tags.text(f"{prefix}_vector_{i}") or "0", f"{prefix}_vector") for i in "123"])
            try:
                m = np.linalg.inv(m) if inverse else m
            except np.linalg.LinAlgError as error:
                raise ValueError(f"{prefix}_matrix is singular") from error
            frac = (cart - v) @ m.T if inverse else cart @ m.T + v
            vectors = np.linalg.inv(m).T
            if not np.allclose(
                vectors @ vectors.T,
                lattice @ lattice.T,
                rtol=0.01,
                atol=0.01 * float(np.abs(lattice @ lattice.T).max()),
            ):
                raise ValueError(f"{prefix}_matrix and the cell contradict one another")
            return np.asarray(frac)
    raise ValueError(
        "the atoms have Cartesian coordinates, and the file does not say how their axes lie in the cell "
        "(_atom_sites_Cartn_tran_matrix_11 and so on); fractional ones are needed"
    )


def _occupancies(tags: Tags, labels: Sequence[str], given: Sequence[int]) -> list[float]:
    """Read occupancies; 1 where none is given."""
    column = _full(tags.column("_atom_site_occupancy"), len(labels), "_atom_site_occupancy")
    if not column:
        return [1.0] * len(given)
    values = []
    for k in given:
        word = column[k]
        amount = cif.as_number(word)
        if math.isnan(amount):
            amount = 1.0 if cif.is_null(word) else _number(word, f"atom row {labels[k]}: the occupancy")
        if amount < 0:
            raise ValueError(f"atom row {labels[k]} has the occupancy {amount:g}; 0 to 1 is accepted")
        values.append(amount)
    return values


def _elements(
    tags: Tags, labels: Sequence[str], types: Sequence[str], given: Sequence[int]
) -> tuple[list[int], list[Note]]:
    """Find the element of each row, by its type symbol or else by its label."""
    _full(list(types), len(labels), "_atom_site_type_symbol")
    known: frozenset[int] | None = None
    numbers, guessed, groups = [], [], []
    for k in given:
        word = types[k] if types else "?"
        named: NamedElement | None
        if not cif.is_null(word):
            named = element_of_type(cif.as_string(word).strip())
            if named is None:
                raise ValueError(
                    f"atom row {labels[k]} has the type symbol {cif.as_string(word)[:20]!r}, which is no element"
                )
        else:
            known = _known_elements(tags) if known is None else known
            named = element_of_label(labels[k], known)
            if named is None:
                raise ValueError(
                    f"atom row {labels[k]} does not say which element it is; a column _atom_site_type_symbol would"
                )
        numbers.append(named.number)
        if named.guessed:
            guessed.append(labels[k])
        if named.hydrogens:
            groups.append(labels[k])
    if attached := _full(tags.column("_atom_site_attached_hydrogens"), len(labels), "_atom_site_attached_hydrogens"):
        groups += [labels[k] for k in given if not cif.is_null(attached[k]) and cif.as_number(attached[k]) != 0]
    notes = []
    if groups:
        notes.append(Note("hydrogens without positions are left out", _some(groups)))
    if guessed:
        notes.append(Note("labels in capitals are read as elements of two letters", _some(guessed)))
    return numbers, notes


def _some(names: Iterable[str]) -> str:
    """Name the first few."""
    some = list(dict.fromkeys(names))
    return ", ".join(some[:6]) + (f" and {len(some) - 6} more" if len(some) > 6 else "")


def _known_elements(tags: Tags) -> frozenset[int]:
    """Elements that a file names beside its atoms: in its formula, or in its list of atom types."""
    formula = parse_formula(tags.text("_chemical_formula_sum")) or {}
    types = [element_of_type(cif.as_string(word)) for word in tags.column("_atom_type_symbol")]
    return frozenset(formula) | {one.number for one in types if one is not None}


# ---------------------------------------------------------------- symmetry


@dataclass(frozen=True, eq=False)
class _Symmetry:
    """What a file says of its symmetry."""

    settings: Sequence[Setting]  # one, or those that it may mean
    said: str = ""  # in the words of the file
    doubt: str = ""  # how the file contradicts itself
    named: Sequence[Setting] = ()  # what the space group says, where the operations contradict it


def _symmetry(tags: Tags, lattice: NDArray[np.float64]) -> _Symmetry:
    """Read the operations that a file lists, or else find the settings that it may mean."""
    symbol, hall, code = tags.text(*_SYMBOLS), tags.text(*_HALLS), tags.text("_space_group_it_coordinate_system_code")
    number = _group_number(tags)
    for tag in _LISTS:
        if words := [word for word in tags.column(tag) if not cif.is_null(word)]:
            return _listed(tags, tag, words, (symbol, hall, number), lattice)
    said = ", ".join([repr(name) for name in (symbol, hall) if name] + [f"number {number}"] * (number is not None))
    settings = list(named_settings(symbol, hall, number, code))
    if not settings and (symbol or hall):
        raise ValueError(f"the space group {said} is not known, and no symmetry operations are listed")
    if not settings:
        raise ValueError(
            "neither symmetry operations nor a space group are given; _space_group_symop_operation_xyz 'x,y,z' says "
            "that all atoms of the cell are listed"
        )
    if symbol and not hall and not code and (group := standard_short_symbol(symbol)):
        # "P 21/c" is the standard setting, but databases use it for any setting of the space group; centred cells have
        # a symbol of their own only where the standard one is centred.
        settings = [s for s in named_settings("", "", group, "") if symbol[0].upper() != "P" or s[1][0] == "P"]
    fitting = [setting for setting in settings if fits_cell(setting[2], lattice)]
    if not fitting:
        raise ValueError(f"the cell lengths and angles are not those of the space group {said}")
    return _Symmetry(fitting, said)


def _group_number(tags: Tags) -> int | None:
    """Read the number of the space group."""
    word = tags.text(*_NUMBERS)
    if not word:
        return None
    value = _number(word[: current_limits().word], "the number of the space group")
    if value != int(value) or not 1 <= value <= 230:
        raise ValueError(f"the number of the space group is {word[:20]}; 1 to 230 are accepted")
    return int(value)


def _listed(
    tags: Tags, tag: str, words: list[str], named: tuple[str, str, int | None], lattice: NDArray[np.float64]
) -> _Symmetry:
    """Read the operations that a file lists."""
    magnetic = "magn" in tag
    centerings = tuple(cif.as_string(word) for word in tags.column(_CENTERINGS)) if magnetic else ()
    listed = tuple(cif.as_string(word) for word in words)
    operations = listed_operations(listed, centerings)
    if not fits_cell(operations, lattice):
        raise ValueError("the cell lengths and angles do not have the symmetry of the operations that are listed")
    # What magnetic structures call their space group may be that of the structure without moments.
    doubt = "" if magnetic else contradiction(listed, *named)
    others = named_settings(*named, "") if doubt else ()
    return _Symmetry([(0, "listed", operations)], doubt=doubt, named=[s for s in others if fits_cell(s[2], lattice)])


# ---------------------------------------------------------------- sites


def _build(rows: Rows, operations: Operations, lattice: NDArray[np.float64]) -> Crystal:
    """Make the crystal of atom rows and operations."""
    sites = shared_sites(rows, expand(rows.frac, operations, lattice, rows.decimals), lattice)
    distinct = {content: k for k, content in enumerate(dict.fromkeys(sites.contents))}
    kind = np.array([distinct[content] for content in sites.contents])[sites.row]
    used, kind = np.unique(kind, return_inverse=True)  # not those of rows that are part of others
    contents = list(distinct)
    labels = [rows.labels[row] for row in sites.row.tolist()]
    return Crystal(
        lattice,
        sites.frac,
        tuple(contents[k] for k in used.tolist()),
        kind.astype(np.int32),
        tuple(sites.notes),
        labels=labels,
        apart=sites.apart,
    )


def _decided(rows: Rows, symmetry: _Symmetry, lattice: NDArray[np.float64], tags: Tags) -> tuple[Crystal, Note]:
    """Of several settings that a file may mean, return the crystal of the one that its formula and Z fit."""
    fitting: dict[str, Crystal] = {}
    for _, name, operations in symmetry.settings:
        try:
            crystal = _build(rows, operations, lattice)
        except ValueError:  # more than one atom on a site, so this is not the one
            continue
        fitting[name] = crystal
    confirmed = {name: crystal for name, crystal in fitting.items() if _is_confirmed(crystal, tags)}
    every = fitting if len(fitting) == len(symmetry.settings) else {}
    for what, some in (("its formula and Z decide", confirmed), ("all of them give the same crystal", every)):
        for name, found in list(some.items())[:1]:
            if all(_are_same(found, other) for other in some.values()):
                return found, Note(f"the setting of the space group is not named; {what}", name)
    names = ", ".join(name for _, name, _ in symmetry.settings[:6])
    raise ValueError(
        f"the space group {symmetry.said} has {len(symmetry.settings)} settings ({names}), and the file does not say "
        "which: list the symmetry operations, or add the origin or axes choice or the Hall symbol"
    )


def _resolved(crystal: Crystal, symmetry: _Symmetry, rows: Rows, tags: Tags) -> list[Note]:
    """Say why operations that contradict the space group are right all the same; an error where nothing shows it.

    They are if the space group would give the same crystal (of atoms on special positions some of its operations give
    all images), or if formula and Z say so.
    """
    others = [_build(rows, operations, crystal.lattice) for _, _, operations in symmetry.named]
    if any(_are_same(crystal, other) for other in others):
        return []
    if not _is_confirmed(crystal, tags):
        raise ValueError(symmetry.doubt)
    return [Note("the listed operations contradict the space group that is named; its formula and Z confirm them")]


def _are_same(one: Crystal, other: Crystal) -> bool:
    """Tell whether two crystals of one cell have the same species at the same places."""
    if len(one) != len(other):
        return False
    tree = cKDTree(other.frac % 1.0 % 1.0, boxsize=1.0)
    apart, place = tree.query(one.frac % 1.0 % 1.0)
    if apart.max() > _SAME or len(set(place.tolist())) < len(one):
        return False
    pairs = set(zip(one.site_type.tolist(), other.site_type[place].tolist(), strict=True))
    return all(one.species[i] == other.species[j] for i, j in pairs)


# ---------------------------------------------------------------- the formula of the file


def _atoms(crystal: Crystal) -> dict[int, float]:
    """Count the atoms in the cell by atomic number."""
    atoms: dict[int, float] = {}
    for content, count in zip(crystal.species, np.bincount(crystal.site_type).tolist(), strict=True):
        for number, amount in content:
            atoms[number] = atoms.get(number, 0.0) + amount * count
    return atoms


def _units(tags: Tags) -> float | None:
    """Read the number of formula units in the cell."""
    value = cif.as_number(tags.text("_cell_formula_units_z") or "?")
    return value if math.isfinite(value) and value > 0 else None


def _cell_formula(tags: Tags) -> tuple[Mapping[int, float], float | None] | None:
    """Return the formula of a file and how often the cell has it; None if it gives none."""
    formula, units = parse_formula(tags.text("_chemical_formula_sum")), _units(tags)
    if formula is None:
        return None
    # pymatgen writes the formula of the whole cell, and Z of the formula that it calls structural.
    structural = parse_formula(tags.text("_chemical_formula_structural"))
    if structural and units and compare(formula, structural, units) is None:
        return formula, 1.0
    return formula, units


def _is_confirmed(crystal: Crystal, tags: Tags) -> bool:
    """Tell whether the file's formula and Z say that the cell holds just what was read."""
    given = _cell_formula(tags)
    return given is not None and given[1] is not None and compare(_atoms(crystal), *given) is None


def _fits_when_scaled(crystal: Crystal, given: tuple[Mapping[int, float], float | None]) -> bool:
    """Tell whether a crystal agrees with its formula once split positions that add to more than one are scaled."""
    if crystal.apart:
        return False
    try:
        scaled = without_crowding(crystal)
    except ValueError:  # which the check of the crystal says better
        return False
    return scaled is not crystal and compare(_atoms(scaled), *given) is None


def _formula_notes(crystal: Crystal, tags: Tags) -> list[Note]:
    """Compare a crystal with the formula in its file: a difference is an error, one in hydrogen alone is noted."""
    given = _cell_formula(tags)
    if given is None:
        return []
    difference = compare(_atoms(crystal), *given)
    if difference is None or _fits_when_scaled(crystal, given):
        return []
    if not difference.hydrogen_only:
        raise ValueError(
            f"the atoms do not agree with the formula in the file (_chemical_formula_sum, _cell_formula_units_Z): "
            f"{difference.words}"
        )
    return [Note("the formula in the file has more or less hydrogen than the crystal", difference.words)]
