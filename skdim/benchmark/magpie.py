"""Crystals in; Magpie's statistics of their elements, the features to beat without looking at the structure, out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skdim.benchmark.baselines import baseline_features

if TYPE_CHECKING:
    import pandas as pd


def magpie_statistics(structures: Any, *, n_jobs: int | None = None) -> pd.DataFrame:
    """Magpie's statistics of the elements of each crystal: what to beat without looking at the structure.

    Twenty-two elemental properties, each as minimum, maximum, range, mean, mean deviation and mode over the
    composition [1]_, computed by matminer.

    Parameters
    ----------
    structures : collection of crystals of length C
        Of any accepted kind; partial occupancies count as such.
    n_jobs : int or None, default=None
        Processes.

    Returns
    -------
    DataFrame of shape (C, 132)
        One row a crystal, with matminer's feature labels.

    Raises
    ------
    StructureError
        For rows that are no usable crystals, all at once.

    References
    ----------
    .. [1] L. Ward et al., npj Comput. Mater. 2 (2016) 16028, doi:10.1038/npjcompumats.2016.28.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> magpie_statistics([salt])["MagpieData mean Number"].tolist()
    [14.0]
    """
    return baseline_features("magpie", structures, n_jobs=n_jobs)
