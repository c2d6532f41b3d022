"""When not to trust a prediction: how far a crystal is from the labelled ones, and what none of them has."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from skdim._estimators import thawed
from skdim._parameters import check, integer
from skdim.crystals.rows import row_labels
from skdim.exceptions import InputError, StructureError
from skdim.points.makeup import Makeup

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from skdim.learning.seen import Seen
    from skdim.points.pointsets import PointSets

_ROWS = 512  # compared at once
N_NEAREST = 3


@dataclass(frozen=True)
class Domain:
    """What is known: n crystals by their vectors, and all that they are made of."""

    vectors: NDArray[np.float32]  # (n, d)
    spacing: NDArray[np.float64]  # (n,) distance of each from the nearest other, sorted
    elements: NDArray[np.bool_]  # (119,) that any of them holds
    sites: int  # of the largest
    disordered: bool  # whether any is

    @classmethod
    def of(cls, vectors: NDArray[np.float32], makeup: Makeup) -> Domain:
        """Take crystals as what is known, by their vectors (n, d)."""
        distance, _ = nearest(vectors, vectors, min(2, len(vectors)))
        spacing = np.sort(distance[:, -1]) if len(vectors) > 1 else np.zeros(1)
        elements: NDArray[np.bool_] = np.logical_or.reduce(makeup.elements, axis=0)
        return cls(vectors, spacing, elements, int(makeup.sites.max()), bool(makeup.disordered.any()))

    def assess(self, vectors: NDArray[np.float32], makeup: Makeup) -> Assessment:
        """Compare crystals, of the vectors (m, d), with what is known."""
        distance, row = nearest(vectors, self.vectors, min(N_NEAREST, len(self.vectors)))
        below = np.searchsorted(self.spacing, distance[:, 0], side="left")
        return Assessment(
            distance[:, 0],
            100.0 * below / len(self.spacing),
            row,
            makeup.elements & ~self.elements,
            makeup.sites > self.sites,
            makeup.disordered & (not self.disordered),
            makeup.sites,
            self.sites,
        )


@dataclass(frozen=True)
class Assessment:
    """How m crystals compare with what is known."""

    distance: NDArray[np.float64]  # (m,)
    percentile: NDArray[np.float64]  # (m,)
    nearest: NDArray[np.int64]  # (m, 3), rows of what is known
    new_elements: NDArray[np.bool_]  # (m, 119)
    larger: NDArray[np.bool_]  # (m,)
    new_disorder: NDArray[np.bool_]  # (m,)
    sites: NDArray[np.int64]  # (m,)
    largest: int

    def flags(self) -> list[str]:
        """Say of each crystal what none of the known ones has; empty where there is nothing to say."""
        found = []
        for row in range(len(self.distance)):
            new = symbols_of(self.new_elements[row])
            flags = {
                f"new element{'s' if len(new) > 1 else ''} {' '.join(new)}": bool(new),
                f"{self.sites[row]} sites where at most {self.largest} were seen": self.larger[row],
                "disorder, where none was seen": self.new_disorder[row],
                "far from all that is labelled": self.percentile[row] >= 100,
            }
            found.append("; ".join(flag for flag, holds in flags.items() if holds))
        return found


@dataclass(frozen=True)
class BesidePretraining:
    """How m crystals compare with those that a model was pretrained on."""

    # (m,) share of the pretraining's crystals, in percent, that have a nearer neighbour among themselves; NaN where the
    # model's file does not tell.
    percentile: NDArray[np.float64]
    flags: list[str]  # what no crystal of the pretraining has; empty where there is nothing to say

    @classmethod
    def of(cls, seen: Seen | None, vectors: NDArray[np.float32], makeup: Makeup) -> BesidePretraining:
        """Compare crystals, of the vectors (m, d), with what a pretraining has seen."""
        if seen is None:
            return cls(np.full(len(vectors), np.nan), [""] * len(vectors))
        new = makeup.elements & (seen.elements == 0)
        flags = []
        for row in range(len(vectors)):
            said = symbols_of(new[row])
            if makeup.sites[row] > seen.sites:
                said.append(f"{makeup.sites[row]} sites (at most {seen.sites})")
            if makeup.disordered[row] and not seen.disordered:
                said.append("disorder")
            flags.append(f"not in the pretraining: {', '.join(said)}" if said else "")
        return cls(seen.percentile(vectors), flags)


def symbols_of(elements: NDArray[np.bool_]) -> list[str]:
    """List the symbols of the elements that are marked, by atomic number (119,)."""
    from pymatgen.core.periodic_table import Element

    return [Element.from_Z(int(z)).symbol for z in np.flatnonzero(elements)]


def joined(flags: Sequence[str], others: Sequence[str]) -> list[str]:
    """Join what two comparisons say of the same crystals."""
    return ["; ".join(said for said in pair if said) for pair in zip(flags, others, strict=True)]


class ApplicabilityDomain(BaseEstimator):
    """Tell of crystals how far they are from known ones, and what they have that none of those has.

    Distances are mean absolute differences over the columns of the vectors, in standard deviations of the pretraining
    set: the measure of the Laplacian kernel.

    Parameters
    ----------
    embedder : fitted DeepInfoMaxEmbedder, path of a saved one, name of a pretrained one, or None, default=None
        Gives the vectors. Names are those of `skdim.load_pretrained`; None takes the first of these.

    Attributes
    ----------
    domain_ : Domain
        The known crystals.

    Examples
    --------
    >>> from skdim.datasets import load_band_gap
    >>> crystals = load_band_gap().data
    >>> known = ApplicabilityDomain().fit(crystals[:100])
    >>> table = known.assess(crystals[98:103])
    >>> bool((table["distance"][:2] < 1e-6).all()), bool((table["distance"][2:] > 0).all())
    (True, True)
    """

    def __init__(self, embedder: Any = None) -> None:
        self.embedder = embedder

    def fit(self, X: Any, y: Any = None) -> Self:
        """Take crystals as known: the labelled ones, or those of a pretraining.

        Parameters
        ----------
        X : collection of crystals of length n, or PointSets
            Structures of any accepted kind.
        y : ignored
            No label is looked at.

        Returns
        -------
        self
        """
        self.embedder_ = embedder_meant(self.embedder)
        check_is_fitted(self.embedder_, "state_")
        points = usable_points(self.embedder_, X)
        if not len(points):
            raise InputError("X holds no crystals; at least 1 is needed.")
        self.domain_ = Domain.of(self.embedder_.transform(points), Makeup.of(points))
        return self

    def assess(self, X: Any) -> pd.DataFrame:
        """Compare crystals with the known ones.

        Parameters
        ----------
        X : collection of crystals of length m, or PointSets
            Structures of any accepted kind.

        Returns
        -------
        DataFrame of m rows
            - distance : to the nearest known crystal
            - percentile : share of the known crystals, in percent, that have a nearer neighbour among the others
            - nearest : rows of the three nearest known crystals
            - new_elements : symbols of elements that no known crystal holds, with spaces between
            - larger_cell : whether it has more sites, up to symmetry of translation, than any known crystal
            - new_disorder : whether it is disordered and no known crystal is
            - pretraining_percentile : the same share among the crystals that the model was pretrained on, NaN where its
              file does not tell
            - flags : what is new in words, and what no crystal of the pretraining has

        Raises
        ------
        StructureError
            For rows that are no usable crystals, all at once.
        """
        import pandas as pd

        check_is_fitted(self, "domain_")
        points = usable_points(self.embedder_, X)
        vectors, makeup = self.embedder_.transform(points), Makeup.of(points)
        found = self.domain_.assess(vectors, makeup)
        beside = BesidePretraining.of(self.embedder_.state_.seen, vectors, makeup)
        new = [" ".join(symbols_of(row)) for row in found.new_elements]
        columns = {
            "distance": found.distance,
            "percentile": found.percentile,
            "nearest": found.nearest.tolist(),
            "new_elements": new,
            "larger_cell": found.larger,
            "new_disorder": found.new_disorder,
            "pretraining_percentile": beside.percentile,
            "flags": joined(found.flags(), beside.flags),
        }
        return pd.DataFrame(columns, index=getattr(X, "index", None) if hasattr(X, "iloc") else None)

    def __sklearn_tags__(self) -> Any:
        """Crystals are no two-dimensional array."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


def nearest(
    queries: NDArray[np.float32],  # (m, d)
    known: NDArray[np.float32],  # (k, d)
    n: int,  # neighbours, at most k
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:  # (m, n) distances and rows, nearest first
    """Find the nearest known vectors by mean absolute difference over the columns.

    Examples
    --------
    >>> nearest(np.zeros((1, 2)), np.array([[2.0, 0.0], [0.0, 1.0]]), 1)
    (array([[0.5]]), array([[1]]))
    """
    check("n", n, integer(1))
    distance, row = np.empty((len(queries), n)), np.empty((len(queries), n), np.int64)
    for start in range(0, len(queries), _ROWS):
        part = slice(start, start + _ROWS)
        between = cdist(queries[part], known, "cityblock") / known.shape[1]
        row[part] = np.argsort(between, axis=1, kind="stable")[:, :n]
        distance[part] = np.take_along_axis(between, row[part], axis=1)
    return distance, row


def embedder_meant(given: Any) -> Any:
    """Return the embedder that a parameter means, fitted or not; None is the model that comes with the package.

    A file goes before the model that has the same name.
    """
    from skdim.embedder import DeepInfoMaxEmbedder
    from skdim.pretrained import MODELS, load_pretrained

    if given is None:
        return load_pretrained()
    if isinstance(given, str | os.PathLike):
        named = given in MODELS and not os.path.isfile(given)
        return load_pretrained(os.fspath(given)) if named else DeepInfoMaxEmbedder.load(given)
    inner = thawed(given)
    if not isinstance(inner, DeepInfoMaxEmbedder):
        raise InputError(
            "embedder must be a DeepInfoMaxEmbedder, the path of a saved one, the name of one that comes with the "
            f"package ({', '.join(MODELS)}), or None for the first of these, got {given!r}."
        )
    return inner


def usable_points(embedder: Any, X: Any) -> PointSets:
    """Featurize crystals as a fitted embedder does; a StructureError names all that cannot be used."""
    from skdim.points.pointsets import PointSets

    if isinstance(X, PointSets):
        points, failures = X, [(int(row), "no sites: it failed before") for row in np.flatnonzero(~X.valid)]
    else:
        points, failures = clone(embedder.featurizer_).set_params(verbose=0).try_transform(X)
    if failures:
        raise StructureError(failures, row_labels(X, [row for row, _ in failures]))
    return points
