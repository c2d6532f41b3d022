"""Random choices of labels, the same for every feature set and regressor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_random_state

from skdim._parameters import check, integer, optional

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Repeat:
    """Labels drawn at random."""

    labels: int  # how many
    number: int  # which repeat with that many
    rows: NDArray[np.int64]  # (labels,) the labelled rows, in random order, so that consecutive ones serve as folds
    seed: int  # for the regressors


def draw_repeats(
    pool: NDArray[np.int64],  # (p,) rows that may be labelled
    label_counts: Sequence[int],  # numbers of labels
    n_repeats: int | Mapping[int, int],  # for each number of labels, or for all of them
    random_state: Any,  # with an int, a repeat depends on it, the number of labels and its own number alone
    cv: int | None = None,  # folds for which there must be enough labels
) -> list[Repeat]:
    """Draw labels from the pool, again and again.

    Examples
    --------
    >>> [repeat.labels for repeat in draw_repeats(np.arange(9), [2, 3], {2: 1, 3: 2}, 0)]
    [2, 3, 3]
    """
    check("cv", cv, optional(integer(2)))
    if not isinstance(label_counts, Iterable):
        raise TypeError(f"label_counts must be a list, got {label_counts!r}; write [{label_counts!r}].")
    least = max(2, cv or 0)
    bad = [n for n in label_counts if not isinstance(n, int | np.integer) or not least <= n <= len(pool)]
    if bad or not len(label_counts):
        raise ValueError(
            f"label_counts must be integers from {least} (two, and one for each of the cv={cv} folds) to {len(pool)} "
            f"(the rows outside the test fold), got {list(label_counts)!r}."
        )
    if len(set(label_counts)) < len(label_counts):
        raise ValueError(f"label_counts must be distinct, got {list(label_counts)!r}.")
    number = {n: n_repeats.get(n, 0) if isinstance(n_repeats, Mapping) else n_repeats for n in label_counts}
    if not all(isinstance(k, int | np.integer) and k > 0 for k in number.values()):
        raise ValueError(
            f"n_repeats must be an integer >= 1, or one for each of label_counts={list(label_counts)}, "
            f"got {n_repeats!r}."
        )
    base = int(check_random_state(random_state).randint(2**31 - 1))
    return [_draw(pool, labels, k, base) for labels, count in number.items() for k in range(count)]


def _draw(pool: NDArray[np.int64], labels: int, number: int, base: int) -> Repeat:
    """Draw once."""
    order, of_regressors = np.random.SeedSequence([base, labels, number]).spawn(2)
    rows = np.random.default_rng(order).permutation(pool)[:labels]
    return Repeat(int(labels), number, rows, int(of_regressors.generate_state(1)[0] >> 1))
