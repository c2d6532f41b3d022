"""How far to go from one prediction to another that may be better, by rows that neither has seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEPS = np.linspace(0.0, 1.0, 21)
# Standard errors of a gain on held-out labels that are taken off it: one that is within them may be a loss.
SURE = 1.0
# Models that have not seen a fold have seen fewer labels than those that are kept, from which training gains less. So
# half way, where the two predictions are averaged, is given so much of the base's error on top of its gain.
IN_FAVOUR = 0.01
_ROUNDING = 1e-5  # predictions that differ by less, in deviations of the targets, are the same, and the base remains


def choose_strength(
    targets: NDArray[np.floating],  # (n, T)
    base: NDArray[np.float64],  # (n, T) predictions to go from
    tuned: NDArray[np.float64],  # (n, T) predictions to go to
    weights: NDArray[np.floating],  # (n,)
    power: int = 1,  # of the error: 1 for absolute, 2 for squared errors
    sure: float = SURE,  # standard errors that are taken off a gain
    in_favour: float = IN_FAVOUR,  # share of the base's error that half way is given on top of its gain
) -> NDArray[np.float64]:  # (T,) from 0, which stays at the base, to 1
    """Choose for each target where between two predictions the held-out error is surely lower.

    Examples
    --------
    >>> truth = np.array([[1.0], [2.0], [3.0]])
    >>> choose_strength(truth, truth - 1, truth + 1, np.ones(3)), choose_strength(truth, truth, truth + 1, np.ones(3))
    (array([0.5]), array([0.]))
    """
    steps, shares = _STEPS[:, None], weights / weights.sum()
    moved = base + steps[..., None] * (tuned - base)  # (S, n, T)
    before = np.abs(targets - base) ** power
    gains = before - np.abs(targets - moved) ** power
    gain = shares @ gains  # (S, T)
    doubt = np.sqrt(shares**2 @ (gains - gain[:, None]) ** 2)
    worth = gain - sure * doubt + 4 * in_favour * steps * (1 - steps) * (shares @ before)
    moves: NDArray[np.bool_] = np.any(np.abs(tuned - base) > _ROUNDING, axis=0)
    return np.where(moves, _STEPS[worth.argmax(0)], 0.0)
