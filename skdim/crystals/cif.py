"""CIF, read so that each atom row of the file is in the crystal, or the file is refused with what is wrong in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from skdim.crystals.cifcell import lattice_of, volume_notes
from skdim.crystals.cifformula import agrees, formula_notes, is_confirmed
from skdim.crystals.cifrows import rows_of
from skdim.crystals.cifsymmetry import Symmetry, symmetry_of
from skdim.crystals.ciftags import Tags, chosen_block, document, is_crystal, tags_of
from skdim.crystals.closeness import volume_of
from skdim.crystals.crystal import Crystal
from skdim.crystals.expansion import expand
from skdim.crystals.limits import current_limits
from skdim.crystals.notes import Note
from skdim.crystals.operations import Operations
from skdim.crystals.sharing import COPIES, Rows, shared_sites

__all__ = ["crystal_of_rows", "read_cif"]

_MODULATED = re.compile(
    r"_(cell_modulation|cell_wave_vector|space_group_ssg|space_group_symop_ssg|cell_subsystem"
    r"|atom_site_fourier|atom_site_phason|atom_site_(displace|occ|rot|u)_(fourier|special))"
)
_MAGNETIC = re.compile(r"_(space_group_magn|space_group_symop_magn|atom_site_moment)")
_DENSEST, _MOST_IN_ANY_CELL = (
    20,
    64,
)  # atom rows in a cubic Angstrom; solids have up to 1, with elements that share sites
_SAME = 1e-4  # fractional; coordinates of one atom


def read_cif(text: str, block: str | None = None) -> Crystal:
    """Read one crystal of a CIF: the block of this name, or the first with a cell or atoms, and never another.

    Each atom row is in it, with the label of its row, and what had to be decided is in its notes. A file that does not
    say what the crystal is, or contradicts itself, is a ValueError that says what is wrong, and where.
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


def _crystal(tags: Tags) -> Crystal:
    """Read the crystal of a block."""
    _refuse_other_kinds(tags)
    lattice = lattice_of(tags)
    rows, notes = rows_of(tags, lattice)
    notes += volume_notes(tags, lattice)
    symmetry = symmetry_of(tags, lattice)
    most = current_limits().images
    if len(rows.labels) * max(len(operations) for _, _, operations in symmetry.settings) > most:
        raise ValueError(
            f"{len(rows.labels)} atom rows times their symmetry operations; {most} images are read (limit images)"
        )
    if len(symmetry.settings) == 1:
        crystal = crystal_of_rows(rows, symmetry.settings[0][2], lattice)
    else:
        crystal, note = _decided(rows, symmetry, lattice, tags)
        notes.append(note)
    if len(symmetry.settings) == 1:
        crystal = _added_up(rows, symmetry.settings[0][2], crystal, tags)
    notes += formula_notes(crystal, tags)
    if symmetry.doubt:
        notes += _resolved(crystal, symmetry, rows, tags)
    if any(_MAGNETIC.match(tag) for tag in tags.values):
        notes.append(Note("magnetic structures are read without their moments"))
    return _with_notes(crystal, notes) if notes else crystal


def _refuse_other_kinds(tags: Tags) -> None:
    """Refuse what is no crystal of three dimensions with its atoms at places."""
    for tag in tags.values:
        if _MODULATED.match(tag) and tags.text(tag) not in ("", "0"):
            raise ValueError(
                f"a modulated structure ({tag}): its atoms have no fixed places in a cell; a three-dimensional "
                "approximant is needed"
            )
    if "_atom_site_group_pdb" in tags.values or "_entity_poly_entity_id" in tags.values:
        raise ValueError("a macromolecule in mmCIF; crystal structures with fractional coordinates are accepted")


def crystal_of_rows(rows: Rows, operations: Operations, lattice: NDArray[np.float64]) -> Crystal:
    """Make the crystal of atom rows and operations, a group that the cell has."""
    images = expand(rows.frac, operations, lattice, rows.decimals)
    if len(images.row) > _MOST_IN_ANY_CELL + _DENSEST * (volume := volume_of(lattice)):
        raise ValueError(f"{len(images.row)} atoms in a cell of {volume:.3g} cubic Angstrom, where there is no room")
    sites = shared_sites(rows, images, lattice)
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


def _added_up(rows: Rows, operations: Operations, crystal: Crystal, tags: Tags) -> Crystal:
    """Add up partly occupied rows that are images of each other, where only so the formula is that of the file.

    Else they are copies. Refinements write the hydrogens of a methyl group on an axis so: three of a third each.
    """
    if not any(note.kind == COPIES for note in crystal.notes) or agrees(crystal, tags) is not False:
        return crystal
    apart = replace(rows, species=[str(row) for row in range(len(rows.labels))])
    try:
        added = crystal_of_rows(apart, operations, crystal.lattice)
    except ValueError:  # more than one atom on a site
        return crystal
    if not agrees(added, tags):
        return crystal
    note = Note("partly occupied atoms that are images of each other add up, as the formula says")
    return _with_notes(added, [note])


def _decided(rows: Rows, symmetry: Symmetry, lattice: NDArray[np.float64], tags: Tags) -> tuple[Crystal, Note]:
    """Of several settings that a file may mean, return the crystal of the one that its formula and Z fit."""
    fitting: dict[str, Crystal] = {}
    for _, name, operations in symmetry.settings:
        try:
            crystal = crystal_of_rows(rows, operations, lattice)
        except ValueError:  # more than one atom on a site, so this is not the one
            continue
        fitting[name] = crystal
    confirmed = {name: crystal for name, crystal in fitting.items() if is_confirmed(crystal, tags)}
    every = fitting if len(fitting) == len(symmetry.settings) else {}
    for what, some in (("its formula and Z decide", confirmed), ("all of them give the same crystal", every)):
        for name, found in list(some.items())[:1]:
            if all(_are_same(found, other) for other in some.values()):
                return found, Note(f"the setting of the space group is not named; {what}", name)
    names = ", ".join(name for _, name, _ in symmetry.settings[:6])
    raise ValueError(
        f"the space group {symmetry.said} has {len(symmetry.settings)} settings ({names}), and the file does not say "
        "which: list the symmetry operations, or name one of these settings or its Hall symbol"
    )


def _resolved(crystal: Crystal, symmetry: Symmetry, rows: Rows, tags: Tags) -> list[Note]:
    """Say why operations that contradict the space group are right all the same; an error where nothing shows it.

    They are if the space group would give the same crystal (of atoms on special positions some of its operations give
    all images), or if formula and Z say so.
    """
    others = [crystal_of_rows(rows, operations, crystal.lattice) for _, _, operations in symmetry.named]
    if any(_are_same(crystal, other) for other in others):
        return []
    if not is_confirmed(crystal, tags):
        raise ValueError(symmetry.doubt)
    return [Note("the listed operations contradict the space group that is named; its formula and Z confirm them")]


def _are_same(one: Crystal, other: Crystal) -> bool:
    """Tell whether two crystals of one cell have the same species at the same places."""
    if len(one) != len(other):
        return False
    from scipy.spatial import cKDTree  # see `skdim.crystals.closeness`

    tree = cKDTree(other.frac % 1.0 % 1.0, boxsize=1.0)
    apart, place = tree.query(one.frac % 1.0 % 1.0)
    if apart.max() > _SAME or len(set(place.tolist())) < len(one):
        return False
    pairs = set(zip(one.site_type.tolist(), other.site_type[place].tolist(), strict=True))
    return all(one.species[i] == other.species[j] for i, j in pairs)
