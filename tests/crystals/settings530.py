"""The 530 settings of space groups as spglib lists them, and a crystal in each, expanded in the plainest way."""

import warnings
from functools import lru_cache

import numpy as np
import spglib
from pymatgen.core import Lattice

SETTINGS = range(1, 531)


@lru_cache(maxsize=530)
def about(setting):
    """What spglib says of a setting."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return spglib.get_spacegroup_type(setting)


@lru_cache(maxsize=530)
def operations(setting):
    """Rotations (m, 3, 3) and translations (m, 3)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a way to tell errors, of which there are none here
        found = spglib.get_symmetry_from_database(setting)
    return found["rotations"], found["translations"]


def lattice_for(setting, random):
    """A cell without more symmetry than the setting asks for: the mean of a random metric over its rotations."""
    rotations, _ = operations(setting)
    base = Lattice.from_parameters(*random.uniform(6, 12, 3), *random.uniform(75, 105, 3)).matrix
    if about(setting).choice == "R":
        base = Lattice.from_parameters(7, 7, 7, 80, 80, 80).matrix
    metric = np.mean([w.T @ (base @ base.T) @ w for w in rotations], axis=0)
    lengths = np.sqrt(np.diag(metric))
    cosines = metric[[1, 0, 0], [2, 2, 1]] / (lengths[[1, 0, 0]] * lengths[[2, 2, 1]])
    return Lattice.from_parameters(*lengths, *np.degrees(np.arccos(cosines)))


def images_of(place, setting):
    """All images of a place in the cell, one after the other, each once."""
    rotations, translations = operations(setting)
    images = rotations @ place + translations
    apart = images[:, None] - images
    same = np.abs(apart - np.rint(apart)).max(axis=2) < 1e-6
    return images[~np.tril(same, -1).any(axis=1)]


def crystal_in(setting, seed=0):
    """A lattice, and atom rows (element, place) of general and special positions, far enough apart."""
    random = np.random.default_rng([setting, seed])
    lattice = lattice_for(setting, random)
    rotations, translations = operations(setting)
    rows = []
    for element in ("Na", "Cl", "O", "Fe"):
        for _ in range(60):
            place = random.random(3).round(4)
            if element in ("O", "Fe"):  # on what a random operation and its powers leave where it is
                k = random.integers(len(rotations))
                image = rotations[k] @ place + translations[k]
                place = (place + image - np.rint(image - place)) / 2
            images = images_of(place, setting)
            others = np.array([image for _, _, images in rows for image in images]).reshape(-1, 3)
            every = np.concatenate([images, others])
            distances = lattice.get_all_distances(every, every)
            np.fill_diagonal(distances, 9)
            if distances.min() > 0.7:
                rows.append((element, place, images))
                break
    return lattice, rows


def write(lattice, rows, symmetry, columns=("label", "type_symbol", "fract_x", "fract_y", "fract_z")):
    """A CIF with what is said of the symmetry."""
    lines = ["data_x"]
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines += [f"_cell_{name} {value:.8f}" for name, value in zip(names, lattice.parameters, strict=True)]
    lines += [symmetry, "loop_", *(f"_atom_site_{column}" for column in columns)]
    for k, (element, place, _) in enumerate(rows):
        values = dict(zip(("fract_x", "fract_y", "fract_z"), place, strict=True))
        words = {"label": f"{element}{k}", "type_symbol": element} | {a: f"{x:.10f}" for a, x in values.items()}
        lines.append(" ".join(words[column] for column in columns))
    return "\n".join(lines) + "\n"


def listed(setting):
    """The operations of a setting, as a CIF lists them."""
    lines = ["loop_", "_space_group_symop_operation_xyz"]
    for rotation, translation in zip(*operations(setting), strict=True):
        parts = []
        for row, shift in zip(rotation, translation, strict=True):
            terms = "".join(f"{'+' if n > 0 else '-'}{axis}" for n, axis in zip(row, "xyz", strict=True) if n)
            n = round(float(shift) * 24) % 24
            parts.append(terms.removeprefix("+") + (f"+{n}/24" if n else ""))
        lines.append(f"'{','.join(parts)}'")
    return "\n".join(lines)


def is_the_same(crystal, lattice, rows):
    """Whether a crystal that was read is the one that was written."""
    theirs = [(element, image) for element, _, images in rows for image in images]
    if len(crystal) != len(theirs) or not np.allclose(
        crystal.lattice @ crystal.lattice.T, lattice.matrix @ lattice.matrix.T
    ):
        return False
    numbers = {"Na": 11, "Cl": 17, "O": 8, "Fe": 26}
    apart = crystal.frac - np.array([image for _, image in theirs])[:, None]
    near = np.abs(apart - np.rint(apart)).max(axis=2) < 1e-4
    if not (near.sum(axis=1) == 1).all():
        return False
    atoms = zip(theirs, near.argmax(axis=1), strict=True)
    return all(crystal.species_on(row) == ((numbers[element], 1.0),) for (element, _), row in atoms)
