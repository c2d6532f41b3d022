"""Words of a study in; an error out where it could not be carried through, before anything takes long."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skdim._parameters import check_number

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure


def check_folder(out: str | os.PathLike[str]) -> Path:
    """Refuse a place where no folder can be; nothing is made.

    Parameters
    ----------
    out : str or path
        The folder.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If the path, or one that it goes through, is a file.
    PermissionError
        If it may not be written to.
    """
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{str(folder)!r} is a file; the name of a folder is needed")
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not existing.is_dir():
        raise ValueError(f"{str(folder)!r} cannot be made: {str(existing)!r} is a file, not a folder")
    if not os.access(existing, os.W_OK):
        raise PermissionError(f"cannot write to the folder {str(existing)!r}")
    return folder


def check_numbers(crystals: int | None, max_epochs: int | None, random_state: int, n_jobs: int | None) -> None:
    """Refuse numbers that cannot be used.

    Parameters
    ----------
    crystals, max_epochs, random_state, n_jobs
        As for `skdim.benchmark.run_study`.

    Raises
    ------
    ValueError
        Naming the parameter, its value and what is accepted.
    """
    check_number("random_state", random_state, "whole numbers of at least 0", whole=True, least=0)
    if crystals is not None:
        check_number("crystals", crystals, "None and whole numbers of at least 20", whole=True, least=20)
    if max_epochs is not None:
        check_number("max_epochs", max_epochs, "None and whole numbers of at least 0", whole=True, least=0)
    if n_jobs is not None and (not isinstance(n_jobs, int) or isinstance(n_jobs, bool) or n_jobs == 0):
        raise ValueError(f"n_jobs={n_jobs!r}; accepted are None, whole numbers of at least 1, and -1 for all cores")


def try_baselines(kinds: Iterable[Any]) -> None:
    """Compute baseline features of one crystal, so that a package that is missing is found at once.

    Parameters
    ----------
    kinds : iterable
        Names of feature sets, transformers.

    Raises
    ------
    ValueError
        If one cannot be computed.
    """
    from skdim.benchmark.baselines import BASELINES, baseline_features

    for kind in kinds:
        if isinstance(kind, str) and kind in BASELINES:
            try:
                baseline_features(kind, [_salt()])
            except ImportError as error:
                raise ValueError(f"the feature set {kind!r} cannot be computed here: {error}") from error


def _salt() -> Structure:
    """Make a crystal that every feature set can describe."""
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure

    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
