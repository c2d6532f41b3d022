"""How crystals of the large set resist being deformed, computed with a universal potential: labels of stiffness.

    python benchmarks/elastic_labels.py materials_project.parquet --out stiffness.parquet [--crystals 16000]
        [--most-atoms 20]

needs the extra ``chgnet`` (https://doi.org/10.1038/s42256-023-00716-3), a potential trained on energies, forces,
stresses and magnetic moments of the Materials Project. Second differences of nine energies a crystal give its response
to a change of volume, which is the bulk modulus but for the crystal's own relaxation, to two random strains that keep
the volume, and to random displacements of the atoms. The mean magnetic moment comes with the first energy. Nothing is
relaxed.

The crystals are drawn from the labelled ones that do not judge a model (see `materials_project.py`). Finished parts are
kept in the folder ``OUT.parts``, and a run that was interrupted goes on from them.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from materials_project import composition_keys, left_out, read_labels, read_structures

from skdim._files import replacing

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

PART = 128
STRETCH = 0.02  # of lengths
SHEAR = 0.03  # root of the sum of squares of a strain that keeps the volume
SHIFT = 0.04  # Angstrom, standard deviation of each coordinate
GPA = 160.21766  # in one eV/Angstrom^3


def main() -> None:
    """Draw the crystals, compute part by part, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="parquet file")
    parser.add_argument("--out", type=Path, required=True, help="parquet file of the labels")
    parser.add_argument("--crystals", type=int, default=16_000)
    parser.add_argument("--most-atoms", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = drawn(options)
    parts = Path(f"{options.out}.parts")
    parts.mkdir(exist_ok=True)
    model = potential()
    for start in range(0, len(rows), PART):
        file = parts / f"{start:06d}.parquet"
        if not file.exists():
            part = rows[start : start + PART]
            found = stiffness(model, read_structures(options.table, part), np.random.default_rng([options.seed, start]))
            with replacing(file) as draft:
                found.assign(row=part).to_parquet(draft)
            print(f"{start + len(part):,} of {len(rows):,}", flush=True)
    pd.concat([pd.read_parquet(file) for file in sorted(parts.glob("*.parquet"))]).to_parquet(options.out)


def drawn(options: argparse.Namespace) -> NDArray[np.int64]:
    """Rows of the crystals, in the order in which they are computed."""
    keys = composition_keys(options.table)
    atoms = np.array([len(numbers) for numbers in numbers_of(options.table)])
    labels = read_labels(options.table)
    usable = np.all([np.isfinite(values) for values in labels.values()], axis=0)
    usable &= (atoms <= options.most_atoms) & ~left_out(keys)
    return np.random.default_rng(options.seed).permutation(np.flatnonzero(usable))[: options.crystals]


def numbers_of(table: Path) -> list[list[int]]:
    """Atomic numbers of each row."""
    import pyarrow.parquet as pq

    read: list[list[int]] = pq.read_table(table, columns=["numbers"])["numbers"].to_pylist()
    return read


def potential() -> Any:
    """The universal potential; it says on its own which version it is."""
    from chgnet.model import CHGNet

    warnings.simplefilter("ignore")
    return CHGNet.load(use_device="cpu")


def stiffness(model: Any, structures: list[Structure], generator: np.random.Generator) -> pd.DataFrame:
    """Second differences of the energy of each crystal, NaN where the potential cannot be evaluated.

    Returns
    -------
    DataFrame
        Columns ``volume`` and ``shear`` in GPa, ``force`` in eV/Angstrom^2, ``moment`` in Bohr magnetons an atom.
    """
    changes = [deformations(structure, generator) for structure in structures]
    flat = [changed for each in changes for changed, _ in each]
    energies, moments = energies_of(model, flat)
    energies, moments = energies.reshape(len(structures), -1), moments.reshape(len(structures), -1)[:, 0]
    second = energies[:, 1::2] + energies[:, 2::2] - 2.0 * energies[:, :1]  # eV an atom
    amounts = np.array([[amount for _, amount in each[1::2]] for each in changes])
    response = second / amounts
    atomic_volume = np.array([structure.volume / len(structure) for structure in structures])
    return pd.DataFrame(
        {
            "volume": response[:, 0] / atomic_volume * GPA,
            "shear": response[:, 1:3].mean(1) / atomic_volume * GPA,
            "force": response[:, 3],
            "moment": moments,
        }
    )


def deformations(structure: Structure, generator: np.random.Generator) -> list[tuple[Structure, float]]:
    """The crystal, and pairs of it deformed one way and the other, with what their second difference is divided by."""
    strains = [STRETCH * np.eye(3)]
    for _ in range(2):
        strain = generator.standard_normal((3, 3))
        strain = strain + strain.T
        strain -= np.trace(strain) / 3.0 * np.eye(3)
        strains.append(SHEAR * strain / np.linalg.norm(strain))
    # Energies per volume are half K tr(e)^2 and G e:e; a second difference is twice that.
    amounts = [9.0 * STRETCH**2, 2.0 * SHEAR**2, 2.0 * SHEAR**2]
    changed = [(structure, 1.0)]
    for strain, amount in zip(strains, amounts, strict=True):
        for sign in (1.0, -1.0):
            lattice = structure.lattice.matrix @ (np.eye(3) + sign * strain)
            changed.append((type(structure)(lattice, structure.species, structure.frac_coords), amount))
    shift = SHIFT * generator.standard_normal((len(structure), 3))
    for sign in (1.0, -1.0):
        coordinates = structure.cart_coords + sign * shift
        moved = type(structure)(structure.lattice, structure.species, coordinates, coords_are_cartesian=True)
        changed.append((moved, float((shift**2).sum() / len(structure))))
    return changed


def energies_of(model: Any, structures: list[Structure]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Energy in eV an atom and mean magnitude of the magnetic moments of each crystal."""
    import torch

    graphs = []
    for structure in structures:
        try:
            graphs.append(model.graph_converter(structure))
        except ValueError:  # an isolated atom
            graphs.append(None)
    with torch.no_grad():
        found = model.predict_graph([graph for graph in graphs if graph is not None], task="em", batch_size=48)
    told = iter(found if isinstance(found, list) else [found])
    pairs = [(np.nan, np.nan) if graph is None else _numbers(next(told)) for graph in graphs]
    energies, moments = np.array(pairs, dtype=np.float64).T
    return energies, moments


def _numbers(told: dict[str, Any]) -> tuple[float, float]:
    """Energy and mean moment of a prediction."""
    return float(told["e"]), float(np.abs(told["m"]).mean())


if __name__ == "__main__":
    main()
