"""A prediction in parts: what each site, element and kind of column adds to that for the mean of the labelled crystals.

The prediction is followed on the straight way from the mean of the labelled vectors to the crystal's. What a column
adds on it (`skdim.evaluation._slopes`) is split among sites as the column is (`CrystalModel.site_shares`). So
the parts sum to the prediction whichever way they are summed, and depend neither on the cell nor on the order of sites.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from skdim.exceptions import InputError
from skdim.interpretation._sites import SYMBOLS, contents, encoder_of, site_by_site
from skdim.learning.states import BOUND
from skdim.network.readout import KINDS, column_kinds
from skdim.points.pointsets import PointSets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.evaluation._slopes import Slopes
    from skdim.learning.embedding import Encoder
    from skdim.learning.states import EmbedderState

_TINY = 1e-9
Line = tuple[str, str, float, float]
"""Part, name, share of the atoms (NaN where there is none) and contribution."""


@dataclass(frozen=True)
class SiteRows:
    """The sites of a crystal, S rows.

    Attributes
    ----------
    numbers : ndarray of int, shape (S,)
        Sites of the structure, or rows of the point set.
    names : ndarray of str, shape (S,)
        What sits there.
    weight : ndarray of shape (S,)
        Share of the crystal's atoms.
    fractions : ndarray of shape (S, 119)
        Share of each element in a site.
    shares : ndarray of shape (S, D)
        What each site gives to the columns that the model pools.
    """

    numbers: NDArray[np.int64]
    names: NDArray[np.object_]
    weight: NDArray[np.float64]
    fractions: NDArray[np.float64]
    shares: NDArray[np.float64]

    def lines(self, start: float, added: NDArray[np.float64]) -> list[Line]:
        """List the parts of a prediction, of which the sites add (S, 4), by kind; they begin and end with sums."""
        by_site, atoms = added.sum(1), self.weight @ self.fractions
        by_element = by_site @ self.fractions
        sites = [f"{number} {name}" for number, name in zip(self.numbers, self.names, strict=True)]
        return [
            ("start", "mean of the labelled crystals", np.nan, start),
            *(("kind", kind, np.nan, total) for kind, total in zip(KINDS, added.sum(0), strict=True)),
            *(("element", SYMBOLS[z], atoms[z], by_element[z]) for z in np.flatnonzero(atoms)),
            *(("site", *of_site) for of_site in zip(sites, self.weight, by_site, strict=True)),
            ("sum", "prediction", np.nan, start + added.sum()),
        ]


def explained(
    embedder: Any, X: Any, learned: Sequence[tuple[Any, NDArray[np.float64]]]
) -> Iterable[tuple[int, int, list[Line]]]:
    """Take predictions of crystals apart.

    Parameters
    ----------
    embedder : DeepInfoMaxEmbedder
        Fitted.
    X : list of crystals, or PointSets
        All of them must be usable.
    learned : sequence of (regressor, ndarray of shape (d,))
        For each target, with `slopes`; and the mean of its labelled vectors.

    Yields
    ------
    crystal, target : int
        Of which.
    lines : list of tuple
        See `SiteRows.lines`.

    Raises
    ------
    InputError
        If the model's vectors are not pooled from sites column by column.
    """
    encoder = encoder_of(embedder)
    if encoder.state.config.readout == "network":
        raise InputError(
            "a prediction is explained by what its vector is pooled from: that takes a model with readout='moments', "
            "as of the presets default and deep; this one has readout='network'."
        )
    points, numbers = X, None
    if not isinstance(X, PointSets):
        points, _, numbers = site_by_site(encoder, X)
    vectors = encoder.embed(points).astype(np.float64)
    starts = [float(regressor.predict(start[None])[0]) for regressor, start in learned]
    for crystal, vector in enumerate(vectors):
        rows = _site_rows(encoder, points, crystal, None if numbers is None else numbers[crystal])
        for target, (regressor, start) in enumerate(learned):
            slopes = regressor.slopes(vector[None], start)
            added = _added(encoder.state, rows, vector - start, start, slopes)
            yield crystal, target, rows.lines(starts[target], added)


def _site_rows(encoder: Encoder, points: PointSets, crystal: int, numbers: NDArray[np.int64] | None) -> SiteRows:
    """What sits on each row of a crystal, and what it gives to the pooled columns."""
    batch = encoder.batch(points, np.array([crystal]))
    with torch.inference_mode():
        shares = encoder.model.site_shares(batch).double().cpu().numpy()
    occupied = batch.fractions.double().cpu().numpy()
    fractions = occupied / occupied.sum(1, keepdims=True)
    return SiteRows(
        np.arange(len(shares)) if numbers is None else numbers,
        contents(batch),
        batch.site_weight.double().cpu().numpy(),
        fractions[batch.site_type.cpu().numpy()],
        shares,
    )


def _added(
    state: EmbedderState, rows: SiteRows, way: NDArray[np.float64], start: NDArray[np.float64], slopes: Slopes
) -> NDArray[np.float64]:
    """What each site adds to a prediction by each kind of column, (S, 4).

    ``way`` (d,) leads from the mean of the labelled vectors, ``start`` (d,), to the crystal's.
    """
    kinds = np.array([KINDS.index(kind) for kind in column_kinds(state.config)])
    weight = rows.weight[:, None]
    begin = start
    if state.components is not None and state.offset is not None:
        begin = np.linalg.lstsq(state.components.astype(np.float64), start + state.offset)[0].astype(np.float64)
    sites = (rows.shares - weight * state.center) / state.scale - weight * begin  # (S, D)
    # A bounded column moves less than its sites do; all of them are shortened alike.
    moved = sites.sum(0)
    sites *= _shortened(moved, np.clip(moved + begin, -BOUND, BOUND) - begin)
    slope, rest = slopes.slope[0], slopes.rest[0]
    if state.components is None:
        rest = rest + slope * (way - sites.sum(0))  # of bounds and rounding
    else:
        moved = state.components @ sites.sum(0)
        bounded = slope * _shortened(moved, way)
        squares = state.components.astype(np.float64) ** 2
        rest = (rest + slope * way - bounded * moved) @ (squares / squares.sum(1, keepdims=True))
        slope = bounded @ state.components
    added = sites * slope + weight * rest
    return np.stack([added[:, kinds == kind].sum(1) for kind in range(len(KINDS))], 1)


def _shortened(moved: NDArray[np.float64], way: NDArray[np.float64]) -> NDArray[np.float64]:
    """Factors by which columns move less than they would without bounds, 0 to 1."""
    ratio = np.divide(way, moved, out=np.ones(len(way)), where=np.abs(moved) > _TINY)
    return np.clip(ratio, 0.0, 1.0)
