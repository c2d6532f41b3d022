"""A prediction in parts: what each site, element and kind of column adds to that for the mean of the labelled crystals.

The prediction is followed on the straight way from the mean of the labelled vectors to the crystal's. What a column
adds on it (`skdim.evaluation._slopes`) is split among sites as the column is (`CrystalModel.site_shares`). So
the parts sum to the prediction whichever way they are summed, and depend neither on the cell nor on the order of sites.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from skdim._crystalpredictor import names_of
from skdim.crystals.rows import as_structures
from skdim.evaluation._slopes import Slopes
from skdim.exceptions import InputError
from skdim.interpretation._sites import SYMBOLS, contents, encoder_of, site_by_site
from skdim.learning.states import BOUND
from skdim.network.readout import KINDS, column_kinds
from skdim.points.pointsets import PointSets

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from skdim.learning.embedding import Encoder
    from skdim.learning.states import EmbedderState

_TINY = 1e-9
Line = tuple[str, str, float, float]
"""Part, name, share of the atoms (NaN where there is none) and contribution."""


@dataclass(frozen=True)
class SiteRows:
    """The sites of a crystal, S rows."""

    numbers: NDArray[np.int64]  # (S,) sites of the structure, or rows of the point set
    names: NDArray[np.object_]  # (S,) what sits there
    weight: NDArray[np.float64]  # (S,) share of the crystal's atoms
    fractions: NDArray[np.float64]  # (S, 119) share of each element in a site
    shares: NDArray[np.float64]  # (S, D) what each site gives to the columns that the model pools

    def lines(
        self, start: float, kinds: Sequence[str], added: NDArray[np.float64], beyond: float | None = None
    ) -> list[Line]:
        """List the parts of a prediction, of which the sites add (S, K), by kind; they begin and end with sums.

        ``beyond`` is what fine-tuning adds, which is not taken apart.
        """
        whole = [] if beyond is None else [("fine-tuning", np.nan, beyond)]
        by_site, atoms = added.sum(1), self.weight @ self.fractions
        by_element = by_site @ self.fractions
        sites = [f"{number} {name}" for number, name in zip(self.numbers, self.names, strict=True)]
        return [
            ("start", "mean of the labelled crystals", np.nan, start),
            *(("kind", kind, np.nan, total) for kind, total in zip(kinds, added.sum(0), strict=True)),
            *(("kind", *rest) for rest in whole),
            *(("element", SYMBOLS[z], atoms[z], by_element[z]) for z in np.flatnonzero(atoms)),
            *(("element", *rest) for rest in whole),
            *(("site", *of_site) for of_site in zip(sites, self.weight, by_site, strict=True)),
            *(("site", *rest) for rest in whole),
            ("sum", "prediction", np.nan, start + added.sum() + (beyond or 0.0)),
        ]


class Mixture:
    """A weighted sum of regressors, explained as they are."""

    def __init__(
        self,
        regressors: Sequence[Any],  # M fitted ones, with `slopes`
        weights: NDArray[np.float64],  # (M,)
        offset: float,
    ) -> None:
        self.regressors, self.weights, self.offset = regressors, weights, offset

    def predict(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Predict rows, (m,)."""
        found: NDArray[np.float64] = np.stack([one.predict(X) for one in self.regressors], 1) @ self.weights
        return found + self.offset

    def slopes(self, X: NDArray[Any], start: NDArray[Any]) -> Slopes:
        """Say what each column adds to predictions, see `skdim.evaluation._slopes`."""
        each = [one.slopes(X, start) for one in self.regressors]
        parts = ([getattr(one, name) for one in each] for name in ("slope", "rest"))
        return Slopes(*(np.tensordot(self.weights, np.stack(part), 1) for part in parts))


def explanation(
    embedder: Any,
    X: Any,  # crystals or PointSets, no iterator
    valid: NDArray[np.int64],  # (m,) rows that are usable crystals; the others are left out
    learned: Sequence[tuple[Any, NDArray[np.float64]]],  # for each target or class, as of `explained`
    names: Sequence[Any],  # of the targets or classes
    what: str,  # name of the column that they are in
    # By the place of a target, what fine-tuning adds to the predictions (m,) of the regressor.
    beyond: Mapping[int, NDArray[np.float64]] | None = None,
) -> pd.DataFrame:  # crystal, what, part, name, share, contribution
    """Take predictions apart, as a table."""
    import pandas as pd

    usable = X[valid] if isinstance(X, PointSets) else [as_structures(X)[row] for row in valid]
    known = names_of(X)
    crystals = valid.tolist() if known is None else [known[row] for row in valid]
    lines = [
        (crystals[crystal], names[place], *line)
        for crystal, place, parts in explained(embedder, usable, learned, beyond or {})
        for line in parts
    ]
    return pd.DataFrame(lines, columns=["crystal", what, "part", "name", "share", "contribution"])


def explained(
    embedder: Any,
    X: Any,  # a list of crystals, or PointSets; all usable
    # For each target a regressor with `slopes`, and the mean (d,) of its labelled vectors.
    learned: Sequence[tuple[Any, NDArray[np.float64]]],
    beyond: Mapping[int, NDArray[np.float64]],  # see `explanation`
) -> Iterable[tuple[int, int, list[Line]]]:  # crystal, target, and as of `SiteRows.lines`
    """Take predictions of crystals apart; the model's vectors must be pooled from sites column by column."""
    encoder = encoder_of(embedder)
    if encoder.state.config.readout == "network":
        raise InputError(
            "a prediction is explained by what its vector is pooled from: that takes a model with readout='moments', "
            "as of the presets default and deep; this one has readout='network'."
        )
    of_columns = np.array(column_kinds(encoder.state.config))
    kinds = [kind for kind in KINDS if kind in of_columns]
    of_kind = np.stack([of_columns == kind for kind in kinds], 1)
    points, numbers = X, None
    if not isinstance(X, PointSets):
        points, _, numbers = site_by_site(encoder, X)
    vectors = encoder.embed(points).astype(np.float64)
    starts = [float(regressor.predict(start[None])[0]) for regressor, start in learned]
    for crystal, vector in enumerate(vectors):
        rows = _site_rows(encoder, points, crystal, None if numbers is None else numbers[crystal])
        for target, (regressor, start) in enumerate(learned):
            slopes = regressor.slopes(vector[None], start)
            added = _added(encoder.state, rows, vector - start, start, slopes) @ of_kind
            more = float(beyond[target][crystal]) if target in beyond else None
            yield crystal, target, rows.lines(starts[target], kinds, added, more)


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
    """What each site adds to a prediction by each column that is pooled, (S, D).

    ``way`` (d,) leads from the mean of the labelled vectors, ``start`` (d,), to the crystal's.
    """
    weight = rows.weight[:, None]
    begin = start
    if state.components is not None and state.offset is not None:
        begin = np.linalg.lstsq(state.components.astype(np.float64), start + state.offset, rcond=None)[0].astype(
            np.float64
        )
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
    added: NDArray[np.float64] = sites * slope + weight * rest
    return added


def _shortened(moved: NDArray[np.float64], way: NDArray[np.float64]) -> NDArray[np.float64]:
    """Factors by which columns move less than they would without bounds, 0 to 1."""
    ratio = np.divide(way, moved, out=np.ones(len(way)), where=np.abs(moved) > _TINY)
    return np.clip(ratio, 0.0, 1.0)
