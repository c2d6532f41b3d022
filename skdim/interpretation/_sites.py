"""Point sets with one row for each site of a crystal, and names of what sits there."""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pymatgen.core.periodic_table import Element

from skdim._estimators import thawed
from skdim.crystals.crystal import crystal_of
from skdim.crystals.structures import load_structures
from skdim.embedder import DeepInfoMaxEmbedder
from skdim.exceptions import InputError
from skdim.learning.embedding import Encoder, check_same_kind
from skdim.points.assembly import assemble
from skdim.points.cells import primitive_cell
from skdim.points.chunks import cells_and_site_types
from skdim.points.features import ElementTable
from skdim.points.sitetypes import N_ATOMIC_NUMBERS

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core.structure import IStructure

    from skdim.network.batches import Batch
    from skdim.points.pointsets import PointSets

SYMBOLS: NDArray[np.object_] = np.array([""] + [Element.from_Z(z).symbol for z in range(1, N_ATOMIC_NUMBERS)], object)
"""Symbols of the elements by atomic number."""


class SiteBySite(NamedTuple):
    """Crystals with every site as a row, also those that symmetry makes alike."""

    points: PointSets  # with neighborhood="supercell" one row for each site of the primitive cell
    structures: list[IStructure]
    sites: list[NDArray[np.int64]]  # for each crystal the sites that its rows stand for


def encoder_of(embedder: Any) -> Encoder:
    """Return the encoder of a fitted embedder, of a frozen one of the one within; anything else is a ValueError."""
    inner = thawed(embedder)
    if not isinstance(inner, DeepInfoMaxEmbedder):
        raise InputError(
            f"embedder must be a fitted DeepInfoMaxEmbedder, got {reprlib.repr(embedder)}. DeepInfoMaxEmbedder.load "
            "reads a saved one."
        )
    return inner.encoder_


def site_by_site(encoder: Encoder, X: Any) -> SiteBySite:
    """Featurize crystals, all of them usable, as the embedder does, but keep every site as a row."""
    work = encoder.featurizer.work()
    config, features, most = work.config, work.features, work.max_sites
    # on_error="raise", so none is missing.
    loaded, _ = load_structures(X, max_sites=most, elements=features.atomic_numbers)
    structures = [structure for structure in loaded if structure is not None]
    if not structures:
        return SiteBySite(encoder.featurizer.transform([]), [], [])
    values = features if isinstance(features, ElementTable) else [features.describe(s) for s in structures]
    cells, site_types = cells_and_site_types([crystal_of(s) for s in structures], values)
    sites = [np.arange(len(cell.frac)) for cell in cells]
    if config.neighborhood == "supercell":
        sites = [primitive_cell(cell.lattice, cell.frac, cell.site_type, config.tolerance).site for cell in cells]
    points = assemble(cells, site_types, config, reduce=False)
    check_same_kind(encoder.state, points)
    return SiteBySite(points, structures, sites)


def contents(batch: Batch) -> NDArray[np.object_]:
    """Name what sits on each row of a batch, (S,): a symbol, or symbols with occupancies such as "Na0.6K0.4"."""
    names = []
    for fractions in batch.fractions.cpu().numpy():
        numbers = np.flatnonzero(fractions)
        shares = [(SYMBOLS[z], round(float(fractions[z]), 4)) for z in numbers]
        names.append("".join(symbol if share == 1 else f"{symbol}{share:g}" for symbol, share in shares))
    rows: NDArray[np.object_] = np.array(names, dtype=object)[batch.site_type.cpu().numpy()]
    return rows
