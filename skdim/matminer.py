"""`EmbeddingFeaturizer`: vectors of a pretrained embedder as matminer features."""

from __future__ import annotations

import copy
import multiprocessing
import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from matminer.featurizers.base import BaseFeaturizer
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from skdim.crystals.notes import Decided
from skdim.crystals.rows import as_structures
from skdim.crystals.structures import told_notes, try_structure
from skdim.embedder import DeepInfoMaxEmbedder
from skdim.exceptions import InputError, StructureError, describe_failures
from skdim.points.features import resolve_site_features
from skdim.points.featurizer import CrystalPointSetTransformer

_CHUNK = 2048  # crystals whose point sets are in memory at once
_CITATIONS = (
    "@article{moran2025deepinfomax, "
    "author = {Moran, Michael and Gusev, Vladimir V. and Gaultois, Michael W. and Antypov, Dmytro "
    "and Rosseinsky, Matthew J.}, "
    "title = {Establishing {Deep InfoMax} as an effective self-supervised learning methodology in materials "
    "informatics}, "
    "journal = {Digital Discovery}, year = {2025}, doi = {10.1039/D4DD00202D}, "
    "eprint = {2407.00671}, archivePrefix = {arXiv}}",
    "@article{moran2022sitenet, "
    "author = {Moran, Michael and Gaultois, Michael W. and Gusev, Vladimir V. and Rosseinsky, Matthew J.}, "
    "title = {Site-Net: Using global self-attention and real-space supercells to capture long-range interactions in "
    "crystal structures}, "
    "year = {2022}, eprint = {2209.08190}, archivePrefix = {arXiv}}",
    "@inproceedings{hjelm2019deepinfomax, "
    "author = {Hjelm, R. Devon and Fedorov, Alex and Lavoie-Marchildon, Samuel and Grewal, Karan and Bachman, Phil "
    "and Trischler, Adam and Bengio, Yoshua}, "
    "title = {Learning deep representations by mutual information estimation and maximization}, "
    "booktitle = {International Conference on Learning Representations}, year = {2019}, "
    "eprint = {1808.06670}, archivePrefix = {arXiv}}",
)
"""Deep InfoMax for crystals, the Site-Net encoder, and Deep InfoMax itself."""


class EmbeddingFeaturizer(BaseFeaturizer):
    """Vectors of a pretrained embedder as matminer features.

    ``featurize_dataframe``, ``featurize_many`` and ``transform`` give all rows to the embedder in one pass, in this
    process: matminer's pool of processes is not used. Inside a ``MultipleFeaturizer`` choose
    ``iterate_over_entries=False``; otherwise matminer asks for one row at a time, which works but is far slower.

    Parameters
    ----------
    embedder : DeepInfoMaxEmbedder, str or path
        Fitted, or the path of one that was saved: it is used as it is, and ``fit`` and ``clone`` leave it alone. Not
        fitted: ``fit`` and ``fit_featurize_dataframe`` pretrain a clone of it on the structures they are given.

    Attributes
    ----------
    embedder_ : DeepInfoMaxEmbedder
        The clone that ``fit`` has pretrained; only where ``embedder`` was not fitted.

    Notes
    -----
    ``set_n_jobs(n)`` sets the number of joblib processes that read and featurize structures; unless it was called
    that is the embedder's own ``n_jobs``, not one for each processor as elsewhere in matminer.

    References
    ----------
    .. [1] Moran et al., arXiv 2407.00671.

    Examples
    --------
    >>> from skdim import DeepInfoMaxEmbedder
    >>> from skdim.datasets import load_band_gap
    >>> from skdim.matminer import EmbeddingFeaturizer
    >>> frame = load_band_gap(as_frame=True).frame[:20]
    >>> featurizer = EmbeddingFeaturizer(DeepInfoMaxEmbedder(max_epochs=1, embedding_dim=8, random_state=0))
    >>> featurizer.fit_featurize_dataframe(frame, "structure", pbar=False).shape
    (20, 12)
    """

    def __init__(self, embedder: Any) -> None:
        self.embedder = embedder

    def fit(self, X: Any, y: Any = None, **fit_kwargs: Any) -> EmbeddingFeaturizer:
        """Pretrain a clone of the embedder if that is not fitted; a fitted or saved one stays as it is.

        Parameters
        ----------
        X : Series, DataFrame of one column, or list of structures
            Crystals; not looked at if the embedder is fitted.
        y : ignored
            No label is looked at.
        **fit_kwargs : ignored
            For other featurizers of a ``MultipleFeaturizer``.

        Returns
        -------
        self
        """
        if not self._is_ready():
            self.embedder_ = clone(self.embedder).fit(_rows(X))
        return self

    def featurize(self, structure: Any) -> list[float]:
        """Give the vector of one crystal.

        Parameters
        ----------
        structure : pymatgen Structure, or what else the embedder takes
            One crystal.

        Returns
        -------
        list of float

        Raises
        ------
        ValueError
            If it is no usable crystal.
        """
        vectors, failures = self._pass([structure])
        if failures:
            # Not a StructureError: matminer makes another error of the same class from the words alone.
            raise ValueError(failures[0][1])
        return list(vectors[0].tolist())

    def featurize_many(
        self, entries: Any, ignore_errors: bool = False, return_errors: bool = False, pbar: Any = True
    ) -> list[list[Any]]:
        """Give the vectors of crystals in one pass.

        Parameters
        ----------
        entries : list, tuple, ndarray, Series or DataFrame of one column
            Crystals, or rows of one crystal each, as matminer makes them.
        ignore_errors : bool, default=False
            Whether crystals that cannot be used become rows of NaN rather than an error.
        return_errors : bool, default=False
            Whether each row ends with the reason why it failed, or NaN; needs ignore_errors.
        pbar : bool or dict, default=True
            Whether to show a progress bar; a dict holds arguments for it.

        Returns
        -------
        list of list of float
            One for each crystal.

        Raises
        ------
        StructureError
            Unless errors are ignored, for all crystals that cannot be used.
        """
        if return_errors and not ignore_errors:
            raise InputError("return_errors=True needs ignore_errors=True.")
        vectors, failures = self._pass(_rows(entries), pbar)
        if failures and not ignore_errors:
            error = StructureError(failures)
            error.add_note("ignore_errors=True makes rows of NaN of them.")
            raise error
        rows: list[list[Any]] = vectors.tolist()
        if return_errors:
            reasons = dict(failures)
            for number, row in enumerate(rows):
                row.append(f"StructureError: {reasons[number]}" if number in reasons else float("nan"))
        return rows

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Give the vectors of crystals, as a step of a scikit-learn pipeline.

        Parameters
        ----------
        X : list, tuple, ndarray, Series or DataFrame of one column
            C crystals.

        Returns
        -------
        ndarray of float32, shape (C, d)
            As everywhere in matminer, crystals that cannot be used are rows of NaN; a warning names them.
        """
        vectors, failures = self._pass(_rows(X))
        if failures:
            warnings.warn(f"{describe_failures(failures)}\nThey become rows of NaN.", UserWarning, stacklevel=2)
        return vectors

    def precheck(self, structure: Any) -> bool:
        """Tell whether a crystal can be used, without featurizing it.

        Parameters
        ----------
        structure : pymatgen Structure, or what else the embedder takes
            One crystal.

        Returns
        -------
        bool
        """
        points = self._used().featurizer_ if self._is_ready() else CrystalPointSetTransformer()
        features = resolve_site_features(points.site_features)
        _, reason = try_structure(structure, max_sites=points.max_sites, elements=features.atomic_numbers)
        return reason is None

    def feature_labels(self) -> list[str]:
        """Name the features.

        Returns
        -------
        list of str
            Those of the embedder's ``get_feature_names_out``.
        """
        return [str(name) for name in self.get_feature_names_out()]

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Name the features, as scikit-learn asks for them.

        Parameters
        ----------
        input_features : ignored
            Crystals have no feature names.

        Returns
        -------
        ndarray of str, shape (d,)
        """
        return np.asarray(self._used().get_feature_names_out(), dtype=object)

    def citations(self) -> list[str]:
        """Name what to cite.

        Returns
        -------
        list of str
            BibTeX.
        """
        return list(_CITATIONS)

    def implementors(self) -> list[str]:
        """Name who wrote this.

        Returns
        -------
        list of str
        """
        return ["The skdim developers"]

    def _pass(self, rows: Sequence[object], pbar: Any = False) -> tuple[NDArray[np.float32], list[tuple[int, str]]]:
        """Embed crystals; return the vectors, and row and reason of those that failed, whose rows are NaN."""
        embedder = self._used()
        points_of = clone(embedder.featurizer_).set_params(verbose=0)
        if hasattr(self, "_n_jobs"):
            points_of.set_params(n_jobs=self._n_jobs)
        if multiprocessing.parent_process() is not None:
            # A process forked off by matminer has none of torch's threads, and would wait for them forever.
            torch.set_num_threads(1)
            points_of.set_params(n_jobs=1)
        vectors = np.empty((len(rows), len(embedder.get_feature_names_out())), np.float32)
        failures: list[tuple[int, str]] = []
        decided: list[Decided] = []
        options = {"desc": type(self).__name__, "disable": not pbar, **(pbar if isinstance(pbar, dict) else {})}
        with tqdm(total=len(rows), **options) as bar:
            for start in range(0, len(rows), _CHUNK):
                chunk = rows[start : start + _CHUNK]
                part = points_of.read(chunk)
                vectors[start : start + len(chunk)] = embedder.transform(part.points)
                failures += [(start + row, reason) for row, reason in part.failures]
                decided += [one._replace(row=start + one.row) for one in part.decided]
                bar.update(len(chunk))
        if told := told_notes(decided, rows):
            warnings.warn(told, UserWarning, stacklevel=3)
        return vectors, failures

    def _is_ready(self) -> bool:
        """Tell whether the embedder that was given is a fitted or a saved one."""
        if isinstance(self.embedder, str | os.PathLike):
            return True
        try:
            check_is_fitted(self.embedder)
        except NotFittedError:
            return False
        return True

    def _used(self) -> Any:
        """Return the fitted embedder: the one that was given, the one that was saved, or the one `fit` has trained."""
        if isinstance(self.embedder, str | os.PathLike):
            path = os.fspath(self.embedder)
            if self.__dict__.get("_loaded", ("", None))[0] != path:
                self._loaded = (path, DeepInfoMaxEmbedder.load(path))
            return self._loaded[1]
        if self._is_ready():
            return self.embedder
        if hasattr(self, "embedder_"):
            return self.embedder_
        raise NotFittedError(
            "the embedder of this EmbeddingFeaturizer is not fitted: fit it, give the path of a saved one, or call fit "
            "or fit_featurize_dataframe, which pretrain it on the structures they are given"
        )

    def __sklearn_clone__(self) -> EmbeddingFeaturizer:
        """Clone without forgetting what a fitted embedder has learned, nor what was set by methods."""
        fresh = type(self)(copy.copy(self.embedder) if self._is_ready() else clone(self.embedder))
        for name in ("_n_jobs", "_chunksize", "_sklearn_output_config"):
            if name in self.__dict__:
                setattr(fresh, name, copy.copy(self.__dict__[name]))
        return fresh


def _rows(entries: Any) -> list[object]:
    """List crystals, out of the rows of one column that matminer makes of them."""
    if isinstance(entries, pd.DataFrame) and entries.shape[1] != 1:
        raise InputError(f"entries must have one column, that of the structures, got {list(entries.columns)}.")
    if isinstance(entries, list | tuple):
        entries = [row[0] if isinstance(row, tuple | list) and len(row) == 1 else row for row in entries]
    return as_structures(entries)
