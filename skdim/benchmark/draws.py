"""The rows one may learn from in, labels drawn at random out: the same for every feature set and head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_random_state

from skdim._parameters import check_number

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Draw:
    """Labels drawn at random.

    Attributes
    ----------
    labels, number : int
        How many, and which draw of that many.
    rows : ndarray of int, shape (labels,)
        The labelled rows, in random order, so that consecutive ones serve as folds.
    seed : int
        Of the heads.
    """

    labels: int
    number: int
    rows: NDArray[np.int64]
    seed: int


def draw_labels(
    pool: NDArray[np.int64],
    label_counts: Sequence[int],
    draws: int | Mapping[int, int],
    random_state: Any,
    cv: int | None = None,
) -> list[Draw]:
    """Draw labels from the pool.

    Parameters
    ----------
    pool : ndarray of int, shape (p,)
        Rows that may be labelled.
    label_counts : sequence of int
        Numbers of labels.
    draws : int or mapping of int to int
        Draws for each number of labels, or for all of them.
    random_state : int, RandomState instance or None
        An int makes a draw depend on it, the number of labels and the number of the draw alone.
    cv : int or None
        Folds the labels have to be enough for.

    Returns
    -------
    list of Draw

    Raises
    ------
    ValueError
        If a number of labels is too small, larger than the pool or there twice, if draws are missing, or cv is below 2.
    TypeError
        If label_counts is no collection.

    Examples
    --------
    >>> [draw.labels for draw in draw_labels(np.arange(9), [2, 3], {2: 1, 3: 2}, 0)]
    [2, 3, 3]
    """
    if cv is not None:
        check_number("cv", cv, "None and whole numbers of at least 2", whole=True, least=2)
    least = max(2, cv or 0)
    if not isinstance(label_counts, Iterable):
        raise TypeError(f"label_counts={label_counts!r} is no collection; put it in a list: [{label_counts!r}].")
    bad = [n for n in label_counts if not isinstance(n, int | np.integer) or not least <= n <= len(pool)]
    if bad or not len(label_counts):
        raise ValueError(
            f"label_counts={list(label_counts)!r}: accepted are whole numbers from {least} (two, and one for each of "
            f"the cv={cv} folds) to {len(pool)}, the rows outside the test fold; not {bad}."
        )
    if len(set(label_counts)) < len(label_counts):
        raise ValueError(f"label_counts={list(label_counts)!r}: accepted are different ones.")
    number = {n: draws.get(n, 0) if isinstance(draws, Mapping) else draws for n in label_counts}
    if not all(isinstance(d, int | np.integer) and d > 0 for d in number.values()):
        raise ValueError(
            f"draws={draws!r}; accepted is a number of at least 1, or one for each of label_counts="
            f"{list(label_counts)}."
        )
    base = int(check_random_state(random_state).randint(2**31 - 1))
    return [_draw(pool, labels, k, base) for labels, count in number.items() for k in range(count)]


def _draw(pool: NDArray[np.int64], labels: int, number: int, base: int) -> Draw:
    """Draw once."""
    order, heads = np.random.SeedSequence([base, labels, number]).spawn(2)
    rows = np.random.default_rng(order).permutation(pool)[:labels]
    return Draw(int(labels), number, rows, int(heads.generate_state(1)[0] >> 1))
