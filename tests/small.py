"""Small real crystals as point sets and batches of any precision, for the tests of what learns from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from pymatgen.core import Lattice, Structure

from skdim import CrystalPointSetTransformer, PointSets
from skdim.network.batches import Batch, collate
from skdim.network.noise import Noise
from tests.bundled import bundled_crystal, rows
from tests.handmade import iron, perovskite, salt, silicon


def crystals_and_energies(chosen: Sequence[int]) -> tuple[list[Structure], np.ndarray]:
    """Return bundled crystals and their formation energies."""
    return [bundled_crystal(k) for k in chosen], np.array([rows()[k]["formation_energy_per_atom"] for k in chosen])


@cache
def bundled(n: int, most_sites: int = 8) -> tuple[list[Structure], np.ndarray]:
    """Return the first n bundled crystals of few sites, and their formation energies."""
    return crystals_and_energies([k for k, row in enumerate(rows()) if len(row["species"]) <= most_sites][:n])


@cache
def bundled_points(n: int, most_sites: int = 8) -> PointSets:
    """Return the same crystals as point sets of the default kind."""
    return CrystalPointSetTransformer().fit_transform(bundled(n, most_sites)[0])


def mixture() -> Structure:
    """A disordered salt: one site shared by two metals, the other one occupied nine times in ten."""
    return Structure(Lattice.cubic(4.1), [{"Na": 0.6, "K": 0.4}, {"Cl": 0.9}], [[0, 0, 0], [0.5, 0.5, 0.5]])


def rutile() -> Structure:
    """TiO2: two sites of one kind, four of the other."""
    u = 0.305
    oxygen = [[u, u, 0], [-u, -u, 0], [0.5 + u, 0.5 - u, 0.5], [0.5 - u, 0.5 + u, 0.5]]
    return Structure(Lattice.tetragonal(4.594, 2.959), ["Ti"] * 2 + ["O"] * 4, [[0, 0, 0], [0.5, 0.5, 0.5], *oxygen])


def handful() -> list[Structure]:
    """One-atom cells, symmetric and less symmetric crystals, a disordered one."""
    return [iron(), salt(), perovskite(), rutile(), silicon(), mixture()]


@cache
def handful_points(**params: Any) -> PointSets:
    """Return them as point sets, by default with a Coulomb term beside the distance and few neighbours."""
    common = {"site_features": "paper", "n_neighbors": 10, "interaction_features": ("distance", "log_coulomb")}
    params = {**common, **params}
    return CrystalPointSetTransformer(**params).fit_transform(handful())


def as_double(batch: Batch) -> Batch:
    """Return the batch in double precision."""
    values = {f.name: getattr(batch, f.name) for f in fields(batch)}
    floats = {k: v for k, v in values.items() if isinstance(v, torch.Tensor) and v.is_floating_point()}
    return replace(batch, **{k: v.double() for k, v in floats.items()})


def batch_of(points: PointSets, crystals: list[int] | None = None) -> Batch:
    """Return crystals as one batch in double precision, all of them unless told otherwise."""
    return as_double(collate(points, np.arange(len(points)) if crystals is None else np.array(crystals)))


def unit_features(batch: Batch) -> torch.Tensor:
    """Return site features (K, F) of order one."""
    spread = batch.features.std(0, correction=0)
    return (batch.features - batch.features.mean(0)) / spread.clamp_min(1e-6)


def seeded(seed: int = 0) -> torch.Generator:
    """Return a generator of its own."""
    return torch.Generator().manual_seed(seed)


def noise(seed: int = 0) -> Noise:
    """Return noise whose key and generator are of one seed."""
    return Noise(seed, seeded(seed))


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    """Return standard normal numbers in double precision."""
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)
