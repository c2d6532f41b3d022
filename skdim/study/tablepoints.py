"""Point sets and features of the crystals of a table, made once, a part at a time, and kept as files."""

from __future__ import annotations

import shutil
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone

import skdim
from skdim._files import digest, replacing
from skdim.points.pointsets import PointSets
from skdim.points.pointstore import save_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.points.featurizer import CrystalPointSetTransformer
    from skdim.study.crystaltable import TableCrystals

PART = 2048
"""Crystals of a part."""


def kept_points(
    crystals: TableCrystals,
    featurizer: CrystalPointSetTransformer,
    folder: Path,  # for the parts; those that are there are not made again
    say: Callable[[str], None],  # called with a message before long steps
) -> PointSets:
    """Featurize the crystals of a table; the result is mapped from files. Crystals that fail have no sites."""
    work = featurizer.work()
    key = digest(skdim.__version__, crystals.key, repr(work.config))[:12]
    whole = folder / f"{work.config.neighborhood}-{key}"
    if not whole.exists():
        parts = folder / f"{whole.name}-parts"
        say(f"point sets ({work.config.neighborhood}) of {len(crystals):,} crystals")
        save_parts(whole, _parts(crystals, featurizer, parts))
        shutil.rmtree(parts)
    return PointSets.load(whole, mmap_mode="r")


def _parts(crystals: TableCrystals, featurizer: CrystalPointSetTransformer, folder: Path) -> Iterator[PointSets]:
    """Make the parts that are missing."""
    starts = range(0, len(crystals), PART)
    # Absolute: a process that was started before may be in another folder.
    paths = [folder.absolute() / f"{start:09d}" for start in starts]
    alone = clone(featurizer).set_params(n_jobs=1)
    # Each process makes its crystals itself: one that made them for all would be what the others wait for.
    made = Parallel(n_jobs=featurizer.n_jobs, return_as="generator")(
        delayed(_make)(crystals.part(start, start + PART), alone, path)
        for start, path in zip(starts, paths, strict=True)
        if not path.exists()
    )
    deque(made, maxlen=0)
    yield from map(PointSets.load, paths)


def _make(crystals: TableCrystals, featurizer: CrystalPointSetTransformer, path: Path) -> None:
    """Make one part; crystals that fail have no sites."""
    with warnings.catch_warnings():
        # Of a large table some rows fail: what fails is told by rows of NaN.
        warnings.simplefilter("ignore", UserWarning)
        featurizer.fit().transform(crystals[:]).save(path)


def kept_features(
    crystals: TableCrystals,
    compute: Callable[[Any], Any],  # features (n, d) of a list of crystals, NaN where one cannot be described
    folder: Path,
    key: str,  # what decides the features beside the crystals
) -> NDArray[np.float64]:
    """Compute features of the crystals of a table, except for the parts that are there."""
    folder = folder / digest(skdim.__version__, crystals.key, key)[:12]
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for start in range(0, len(crystals), PART):
        path = folder / f"{start:09d}.npy"
        if not path.exists():
            with replacing(path) as draft:
                np.save(draft, np.asarray(compute(crystals[start : start + PART]), np.float64))
        parts.append(np.load(path))
    return np.concatenate(parts)
