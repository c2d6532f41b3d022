"""The transformer that turns crystals into point sets."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Any

from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, TransformerMixin, clone

from skdim._estimators import CrystalEstimator
from skdim._jobs import Job
from skdim._parameters import RUNNING, check_parameters
from skdim._progress import Progress
from skdim._workers import run_jobs
from skdim.crystals.given import is_upload
from skdim.crystals.notes import Decided
from skdim.crystals.rows import as_structures, row_labels
from skdim.crystals.structures import told_notes
from skdim.exceptions import InputError, StructureError, describe_failures
from skdim.points.chunks import Work, featurize, no_crystals, prepare, sends_arrays, work_with
from skdim.points.features import SITE_FEATURES
from skdim.points.pointcache import open_cache
from skdim.points.pointsets import PointSets

# Crystals that are reduced together: enough to spread the cost of numpy's calls, few enough to stay in the cache.
_CHUNK = 64
# Parameters that point sets tell of the featurizer that made them.
_TELLING = {"neighborhood", "n_neighbors", "supercell_size", "tolerance"}


@dataclass(frozen=True)
class Outcome:
    """What became of crystals."""

    points: PointSets  # C crystals in the order of the rows; those that failed have no sites
    failures: list[tuple[int, str]]  # row number and reason of each failing row
    about_cache: list[str]  # what is wrong with the cache
    decided: list[Decided]  # what was decided in reading

    def warn(self, X: Any, stacklevel: int = 3) -> None:
        """Warn of what is wrong with the cache, and once of what was decided in reading the rows of X."""
        told = told_notes(self.decided, X)
        for note in [*(f"cache_dir: {note}." for note in self.about_cache), *([told] if told else [])]:
            warnings.warn(note, UserWarning, stacklevel=stacklevel)


class CrystalPointSetTransformer(
    CrystalEstimator,
    TransformerMixin,
    BaseEstimator,
    auto_wrap_output_keys=None,  # type: ignore[call-arg]
):
    """Turn crystals into point sets: sites, their features, and the pairs of their neighbourhoods.

    Parameters
    ----------
    neighborhood : {"shell", "supercell"}, default="shell"
        "shell": every site sees its complete neighbour shells, which do not depend on the cell that describes the
        crystal. "supercell": every site of the primitive cell sees all atoms of a near-cubic supercell, as published
        [1]_; the result may depend on the cell's setting where several supercells are equally near to a cube, and
        jumps where a small distortion makes another one the nearest, see `skdim.points.cells`.
    n_neighbors : int, default=48
        Least number of neighbours in the complete shells of a site.
    supercell_size : int, default=50
        Most atoms in a supercell; a primitive cell with more is taken alone.
    site_features : str, sequence of str or matminer site featurizer, default="bonding"
        "bonding": twenty-one elemental properties that describe bonding, from valence electrons to cohesion, listed in
        `skdim.points.features.SITE_FEATURES`. "magpie": the twenty-two of matminer's magpie preset. "paper": the eight
        of the paper. Or names of tables of `matminer.utils.data.MagpieData`, or an object with
        ``featurize(structure, index)``.
        Sites of mixed or partial occupancy get means weighted by occupancy. The total occupancy is a further feature.
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
        Folder that keeps the point set of each crystal, found again by the crystal's content and the settings. Files
        and texts that it knows are not parsed again, so warnings of the parser are not repeated. Several processes may
        use it at once; delete the folder to empty it.
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
        site_features: Any = "bonding",
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
        self.feature_names_ = self.work().config.feature_names
        return self

    def transform(self, X: Any) -> PointSets:
        """Featurize crystals.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            Structures, paths, texts, dicts or ASE Atoms, mixed as you like, in a list, array of objects, Series or
            DataFrame with a structure column, or from a generator, whose crystals are forgotten as soon as they are
            featurized. PointSets are returned as they are.

        Returns
        -------
        PointSets
            C crystals in the order of the rows.
        """
        return self._transform(X)

    def try_transform(self, X: Any) -> tuple[PointSets, list[tuple[int, str]]]:
        """Featurize crystals, and say why rows failed, whatever ``on_error`` is.

        Parameters
        ----------
        X : collection of crystals of length C
            As for `transform`, point sets excepted.

        Returns
        -------
        points : PointSets
            C crystals in the order of the rows; those that failed have no sites.
        failures : list of (int, str)
            Row number and reason of each failing row.
        """
        outcome = self.read(X)
        outcome.warn(X)
        return outcome.points, outcome.failures

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> PointSets:
        """Check the parameters and featurize.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            As for `transform`.
        y : ignored
            Not used.

        Returns
        -------
        PointSets
            C crystals in the order of the rows.
        """
        return self.fit(X, y)._transform(X)

    def _transform(self, X: Any) -> PointSets:
        """Featurize crystals, raise or warn of rows that fail; the caller of the method that calls this is warned."""
        if isinstance(X, PointSets):
            return X
        outcome = self.read(X)
        outcome.warn(X, 4)
        if failures := outcome.failures:
            labels = row_labels(X, [row for row, _ in failures])
            if self.on_error == "raise":
                raise StructureError(failures, labels)
            warnings.warn(f"{describe_failures(failures, labels)}\nThey become rows of NaN.", UserWarning, stacklevel=3)
        return outcome.points

    def read(self, X: Any) -> Outcome:
        """Featurize crystals, and warn of nothing yet: for callers that do so a part at a time.

        Parameters
        ----------
        X : collection of crystals of length C
            As for `try_transform`.

        Returns
        -------
        Outcome
        """
        n_jobs = self.n_jobs if effective_n_jobs(self.n_jobs) > 1 else 1
        work = self.work(None if n_jobs == 1 else os.getcwd())
        # What gives one crystal after the other may give more than memory holds.
        rows = X if isinstance(X, Iterator) and not is_upload(X) else as_structures(X)
        given = iter(rows)
        chunks: Iterator[list[object]] = iter(lambda: list(islice(given, _CHUNK)), [])
        if self.verbose:
            chunks = _counted(chunks, len(rows) if isinstance(rows, Sized) else None)
        jobs = (
            Job(featurize, (chunk if n_jobs == 1 else prepare(chunk, work), work), range(first, first + len(chunk)))
            for first, chunk in zip(count(0, _CHUNK), chunks, strict=False)
        )
        # Arrays take so little time that processes would wait for their next chunk; files and site featurizers do not.
        quick = n_jobs != 1 and isinstance(rows, list) and sends_arrays(rows[:_CHUNK], work)
        done = run_jobs(jobs, n_jobs, batch_size=4 if quick else "auto", pre_dispatch="8*n_jobs")
        failures = [(k * _CHUNK + row, reason) for k, chunk in enumerate(done) for row, reason in chunk.failures]
        points = [chunk.points for chunk in done] or [no_crystals(0, work.config)]
        about_cache = list(dict.fromkeys(note for chunk in done for note in chunk.notes))
        decided = [one._replace(row=k * _CHUNK + one.row) for k, chunk in enumerate(done) for one in chunk.decided]
        return Outcome(PointSets.concatenate(points), failures, about_cache, decided)

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

    def __sklearn_tags__(self) -> Any:
        """Nothing is learned from crystals, and point sets are no array of a type."""
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags

    def work(self, folder: str | None = None) -> Work:
        """Check the parameters, and gather what the work on each chunk needs; relative paths begin in the folder."""
        check_parameters(self, RUNNING)
        work = work_with(**self.get_params(deep=False))
        cache = None if self.cache_dir is None else open_cache(self.cache_dir, work.config, work.features)
        return replace(work, cache=cache, folder=folder)


def maker_of(X: Any, featurizer: CrystalPointSetTransformer) -> CrystalPointSetTransformer:
    """Return the featurizer that made point sets, as far as they tell; for all else the given one."""
    if not isinstance(X, PointSets):
        return featurizer
    told = dict(X.settings), X.feature_names, X.interaction_names
    settings = {name: value for name, value in X.settings.items() if name in _TELLING}
    names = list(X.feature_names[:-1])  # without the occupancy
    for site_features in (featurizer.site_features, *SITE_FEATURES, names):
        maker: CrystalPointSetTransformer = clone(featurizer).set_params(
            **settings, site_features=site_features, interaction_features=X.interaction_names
        )
        try:
            made = maker.fit().work().config
        except InputError:  # features of the user's own, or settings that no featurizer has
            continue
        if (made.settings, made.feature_names, made.interaction_features) == told:
            return maker
    return featurizer


def n_rows(X: Any) -> int:
    """Count the rows of what `CrystalPointSetTransformer.transform` takes, except for iterators."""
    return len(X if isinstance(X, PointSets) else as_structures(X))


def _counted(chunks: Iterable[list[object]], total: int | None) -> Iterator[list[object]]:
    """Count the crystals of chunks on a progress bar."""
    with Progress("featurizing", "crystals", total, enabled=True) as bar:
        for chunk in chunks:
            yield chunk
            bar.update(len(chunk))
