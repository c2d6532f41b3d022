"""Crystals of any accepted kind in, `PointSets` out: `CrystalPointSetTransformer`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from skdim.assembly import Recipe, assemble
from skdim.exceptions import StructureError, describe_failures
from skdim.features import (
    ElementTable,
    SiteFeaturizer,
    check_interaction_features,
    kinds_from_contents,
    kinds_from_sites,
    resolve_site_features,
)
from skdim.kinds import Kinds
from skdim.neighbors import Cell
from skdim.pointsets import PointSets
from skdim.prechecks import site_contents
from skdim.rows import as_structures, row_labels
from skdim.structures import check_on_error, try_structure

# Crystals that are reduced together: enough to spread the cost of numpy's calls, few enough to stay in the cache.
_CHUNK = 64
NEIGHBORHOODS = ("shell", "supercell")


class CrystalPointSetTransformer(TransformerMixin, BaseEstimator):
    """Turn crystals into point sets: sites, their features, and the pairs of their neighbourhoods.

    Parameters
    ----------
    neighborhood : {"shell", "supercell"}, default="shell"
        "shell": every site sees its complete neighbour shells, which do not depend on the cell that describes the
        crystal. "supercell": every site of the primitive cell sees all atoms of a near-cubic supercell, as published
        [1]_; the result depends on the cell's setting where several supercells are equally near to a cube.
    n_neighbors : int, default=48
        Least number of neighbours in the complete shells of a site.
    supercell_size : int, default=50
        Most atoms in a supercell; a primitive cell with more is taken alone.
    site_features : str, sequence of str or matminer site featurizer, default="magpie"
        "magpie": the twenty-two elemental properties of matminer's magpie preset. "paper": the eight of the paper.
        Or names of tables of `matminer.utils.data.MagpieData`, or an object with ``featurize(structure, index)``.
        Sites of mixed or partial occupancy get means weighted by occupancy, and the total occupancy beside them.
    interaction_features : sequence of str, default=("distance",)
        "distance" first, then any of "log_coulomb" and "radius_ratio".
    tolerance : float, default=1e-3
        Distances in Angstrom that differ by less are taken as equal.
    max_sites : int, default=5000
        Structures with more sites in the given cell fail.
    on_error : {"raise", "nan"}, default="raise"
        "raise": rows that fail are a `StructureError` that names them all. "nan": they become point sets without
        sites, which become rows of NaN downstream, and one warning names them.
    n_jobs : int or None, default=None
        Processes; the result is the same for any number. Runs through joblib, so ``joblib.parallel_config`` applies.
    cache_dir : str, path or None, default=None
        Folder that keeps the point set of each crystal, found again by the crystal's content and the settings.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    feature_names_ : tuple of str
        Names of the site features.

    Raises
    ------
    StructureError
        From ``transform``, with on_error="raise", for rows that are no usable crystals.
    ValueError, TypeError
        If a parameter is not accepted.

    References
    ----------
    .. [1] Moran et al., arXiv 2407.00671.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from skdim import CrystalPointSetTransformer
    >>> salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> CrystalPointSetTransformer().fit_transform([salt, salt.get_primitive_structure()]).n_sites
    array([2, 2])
    """

    def __init__(
        self,
        neighborhood: str = "shell",
        n_neighbors: int = 48,
        supercell_size: int = 50,
        site_features: Any = "magpie",
        interaction_features: Sequence[str] = ("distance",),
        tolerance: float = 1e-3,
        max_sites: int = 5000,
        on_error: str = "raise",
        n_jobs: int | None = None,
        cache_dir: Any = None,
        verbose: int = 0,
    ) -> None:
        self.neighborhood = neighborhood
        self.n_neighbors = n_neighbors
        self.supercell_size = supercell_size
        self.site_features = site_features
        self.interaction_features = interaction_features
        self.tolerance = tolerance
        self.max_sites = max_sites
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.cache_dir = cache_dir
        self.verbose = verbose

    def fit(self, X: Any = None, y: Any = None) -> CrystalPointSetTransformer:
        """Check the parameters; nothing is learned from the crystals.

        Parameters
        ----------
        X : ignored
            The crystals are not looked at.
        y : ignored
            Not used.

        Returns
        -------
        self
        """
        self.feature_names_ = self._recipe()[0].feature_names
        return self

    def transform(self, X: Any) -> PointSets:
        """Featurize crystals.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            Structures, paths, texts, dicts or ASE Atoms, mixed as you like, in a list, array of objects, Series or
            DataFrame with a structure column. PointSets are returned as they are.

        Returns
        -------
        PointSets
            C crystals in the order of the rows.
        """
        if isinstance(X, PointSets):
            return X
        recipe, features = self._recipe()
        rows = as_structures(X)
        chunks = [rows[k : k + _CHUNK] for k in range(0, len(rows), _CHUNK)]
        jobs = (delayed(_featurize)(chunk, recipe, features, self.max_sites) for chunk in self._shown(chunks))
        done = Parallel(n_jobs=self.n_jobs if effective_n_jobs(self.n_jobs) > 1 else 1)(jobs)
        failures = [(k * _CHUNK + row, reason) for k, (_, bad) in enumerate(done) for row, reason in bad]
        self._report(X, failures)
        if not done:
            return _no_crystals(0, recipe)
        return PointSets.concatenate([points for points, _ in done])

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> PointSets:
        """Check the parameters and featurize; see `fit` and `transform`."""
        return self.fit(X, y).transform(X)

    def set_output(self, *, transform: str | None = None) -> CrystalPointSetTransformer:
        """Accept any output setting; point sets are no table and stay `PointSets`.

        Parameters
        ----------
        transform : str or None
            Not used.

        Returns
        -------
        self
        """
        return self

    def _recipe(self) -> tuple[Recipe, ElementTable | SiteFeaturizer]:
        """Check the parameters and gather what the chunks need."""
        check_on_error(self.on_error)
        if self.neighborhood not in NEIGHBORHOODS:
            raise ValueError(f"neighborhood={self.neighborhood!r}; accepted are {NEIGHBORHOODS}.")
        for name, least in (("n_neighbors", 1), ("supercell_size", 2), ("max_sites", 1)):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < least:
                raise ValueError(f"{name}={value!r}; accepted are whole numbers of at least {least}.")
        if not 0 < self.tolerance <= 0.1:
            raise ValueError(f"tolerance={self.tolerance!r}; accepted are distances above 0 and up to 0.1 Angstrom.")
        check_interaction_features(self.interaction_features)
        features = resolve_site_features(self.site_features)
        names, pairs = features.feature_names, tuple(self.interaction_features)
        settings = {"neighborhood": self.neighborhood, "tolerance": float(self.tolerance)}
        size = "n_neighbors" if self.neighborhood == "shell" else "supercell_size"
        settings[size] = int(getattr(self, size))
        recipe = Recipe(
            self.neighborhood, self.n_neighbors, self.supercell_size, self.tolerance, pairs, names, settings
        )
        return recipe, features

    def _shown(self, chunks: list[list[object]]) -> Any:
        """Return the chunks, behind a progress bar if one is wanted."""
        if not self.verbose:
            return chunks
        from tqdm.auto import tqdm

        return tqdm(chunks, desc="featurizing", unit_scale=_CHUNK, unit="crystal")

    def _report(self, X: Any, failures: list[tuple[int, str]]) -> None:
        """Raise or warn once for all rows that failed."""
        if not failures:
            return
        labels = row_labels(X, [row for row, _ in failures])
        if self.on_error == "raise":
            raise StructureError(failures, labels)
        warnings.warn(f"{describe_failures(failures, labels)}\nThey become rows of NaN.", UserWarning, stacklevel=3)


def _featurize(
    rows: list[object], recipe: Recipe, features: ElementTable | SiteFeaturizer, max_sites: int
) -> tuple[PointSets, list[tuple[int, str]]]:
    """Featurize a chunk, and name its rows that fail."""
    accepted = frozenset(np.flatnonzero(features.supported).tolist()) if isinstance(features, ElementTable) else None
    outcome = [try_structure(row, max_sites=max_sites, max_atomic_number=accepted) for row in rows]
    failures = [(row, reason) for row, (_, reason) in enumerate(outcome) if reason is not None]
    structures = [structure for structure, _ in outcome if structure is not None]
    if not structures:
        return _no_crystals(len(rows), recipe), failures
    cells, kinds = _cells(structures, recipe, features)
    points = assemble(cells, kinds, recipe)
    return _spread(points, np.array([s is not None for s, _ in outcome])), failures


def _cells(structures: list[Any], recipe: Recipe, features: ElementTable | SiteFeaturizer) -> tuple[list[Cell], Kinds]:
    """Structures as arrays, and the table of their sites' contents."""
    contents = [site_contents(s) for s in structures]
    sizes = np.cumsum([len(c) for c in contents])[:-1]
    flat = [content for c in contents for content in c]
    if isinstance(features, ElementTable):
        distinct = {content: k for k, content in enumerate(dict.fromkeys(flat))}
        kinds = kinds_from_contents(list(distinct), features)
        kind = np.array([distinct[content] for content in flat], np.int32)
    else:
        values = np.concatenate([features.describe(s) for s in structures])
        kinds, kind = kinds_from_sites(flat, values)
    atoms = [sum(amount for content in c for _, amount in content) for c in contents]
    return [
        Cell(s.lattice.matrix, s.frac_coords, k, s.lattice.volume / n)
        for s, k, n in zip(structures, np.split(kind, sizes), atoms, strict=True)
    ], kinds


def _no_crystals(n: int, recipe: Recipe) -> PointSets:
    """Point sets of n crystals that all failed."""
    kinds = Kinds(np.zeros((0, len(recipe.feature_names))), np.zeros((0, 119), np.float32))
    return PointSets.empty(n, kinds, recipe.feature_names, recipe.interaction_features, recipe.settings)


def _spread(points: PointSets, valid: NDArray[np.bool_]) -> PointSets:
    """Put the crystals in their rows, and crystals without sites in the rows that failed."""
    if valid.all():
        return points
    sizes, volume = np.zeros(len(valid), np.int64), np.full(len(valid), np.nan, np.float32)
    sizes[valid], volume[valid] = points.n_sites, points.volume
    return replace(points, site_offsets=np.concatenate([[0], np.cumsum(sizes)]), volume=volume)
