"""Saved point sets that may be larger than memory, written a part at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np

from skdim.points.pointchecks import LAYOUT, SHARED, check_joinable
from skdim.points.pointsets import FORMAT, VERSION, PointSets
from skdim.points.sitetypes import SiteTypes, merge_site_types
from skdim.points.storage import GrowingFolder, growing_folder

__all__ = ["save_parts"]

_CHANGED = ("site_offsets", "pair_offsets", "site_type")


def save_parts(path: str | os.PathLike[str], parts: Iterable[PointSets]) -> int:
    """Join point sets made with the same settings in a folder, one after the other.

    Only one part is in memory at a time. `PointSets.load` reads the folder, and with ``mmap_mode="r"`` maps it, so that
    a `DeepInfoMaxEmbedder` can be fitted on more crystals than memory holds.

    Parameters
    ----------
    path : path-like
        The folder, as for `PointSets.save`.
    parts : iterable of PointSets
        At least one; a generator is asked for a part when the one before is written.

    Returns
    -------
    int
        How many crystals were written.

    Raises
    ------
    FileExistsError
        If there is anything else at `path`.
    ValueError
        If there is no part, or if features, interaction features or settings differ.

    Examples
    --------
    >>> import tempfile
    >>> from skdim import CrystalPointSetTransformer, PointSets
    >>> from skdim.datasets import load_formation_energy
    >>> crystals, _ = load_formation_energy(return_X_y=True)
    >>> featurizer = CrystalPointSetTransformer()
    >>> folder = tempfile.TemporaryDirectory()
    >>> save_parts(f"{folder.name}/points", (featurizer.transform(crystals[k : k + 10]) for k in range(0, 30, 10)))
    30
    >>> PointSets.load(f"{folder.name}/points", mmap_mode="r").equals(featurizer.transform(crystals[:30]))
    True
    >>> folder.cleanup()
    """
    first: PointSets | None = None
    total = 0
    with growing_folder(path, FORMAT, VERSION) as folder:
        ends = {"site_offsets": 0, "pair_offsets": 0}
        for part in parts:
            if first is None:
                first = _begun(folder, part)
            check_joinable([first, part])
            site_types, (_, new) = merge_site_types([first.site_types, part.site_types])
            first = PointSets.empty(0, site_types, part.feature_names, part.interaction_names, part.settings)
            folder.append("site_type", new[part.site_type])
            for name, end in ends.items():
                folder.append(name, getattr(part, name)[1:] + end)
                ends[name] = end + int(getattr(part, name)[-1])
            for name in LAYOUT:
                if name not in _CHANGED:
                    folder.append(name, getattr(part, name))
            total += len(part)
        if first is None:
            raise ValueError("parts is empty: at least one set of points is needed.")
        folder.append("site_types_features", first.site_types.features)
        folder.append("site_types_fractions", first.site_types.fractions)
    return total


def _begun(folder: GrowingFolder, part: PointSets) -> PointSets:
    """Write what all parts share; return it as point sets without a crystal and without a site type."""
    folder.header.update({name: getattr(part, name) for name in SHARED} | {"settings": dict(part.settings)})
    for name in ("site_offsets", "pair_offsets"):
        folder.append(name, np.zeros(1, np.int64))
    # Not the table of the part, which may name a site type twice: then its numbers would change with the next part.
    none = SiteTypes(part.site_types.features[:0], part.site_types.fractions[:0])
    return PointSets.empty(0, none, part.feature_names, part.interaction_names, part.settings)
