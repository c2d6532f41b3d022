"""Ridge regressions on the vectors of labelled crystals: one penalty for all columns, or one for each part of a vector.

The first is chosen by leave-one-out cross-validation, for which one eigendecomposition serves every penalty and fold.

In the second the parts of a vector, which describe different things, have penalties of their own, as a property may
depend on one more than on another. The share of each part is chosen by the likelihood of the labels, as of a Gaussian
process whose kernel is the sum of those of the parts, with a prior that keeps them alike. Labels far from what the
others let expect weigh less, as for Huber's loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.stats import norm
from sklearn.linear_model import RidgeCV

from skdim.learning.states import Ridge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Penalties a ridge on columns of unit variance chooses from. Smaller ones let it pass through a few labels, which
# leaves a training nothing to lower.
_PENALTIES = np.logspace(1.5, 6, 19)
# Crystals among which rows that are alike are left out together: it takes a matrix of every pair of them. The penalty
# hardly matters where there are more.
_MOST_GROUPED = 4096
_PRIOR = 1.0  # deviation of the logarithm of a part's share
_MOST_SHARE = 6.0  # in either direction, of that logarithm
_LOG_PENALTIES = (0.0, 16.0)  # logarithms of the least and the most
_STEPS = 60
# A held-out residual of more robust deviations than this counts as outlying; Huber's choice.
_OUTLYING = 1.345
_REWEIGHTINGS = 8
_TINY = 1e-300

MOST = 1000
"""Labels up to which this is quick; the penalties of parts matter less where there are more."""


def fit_ridge(
    vectors: NDArray[np.float32],  # (n, d) of the labelled crystals
    targets: NDArray[np.float32],  # (n, T) standardised
    weights: NDArray[np.float32],  # (n,) of the rows, positive
    alike: NDArray[np.int64],  # (n,) the same number for rows that are left out together
) -> Ridge:
    """Fit the ridge regression whose penalty leave-one-out cross-validation prefers."""
    grouped = len(alike) <= _MOST_GROUPED and len(np.unique(alike)) not in (1, len(alike))
    penalties = _by_group(vectors, targets, weights, alike) if grouped else _PENALTIES
    found = RidgeCV(penalties).fit(vectors.astype(np.float64), targets.astype(np.float64), weights)
    center = np.average(vectors.astype(np.float64), 0, weights)
    rows = np.sqrt(weights)[:, None] * (vectors - center)
    if len(rows) <= rows.shape[1]:
        values, axes = np.linalg.eigh(rows @ rows.T)
        factor = rows.T @ axes / np.sqrt(np.maximum(values, 0.0) + found.alpha_)
    else:  # a matrix of every pair of crystals would not fit into memory where there are tens of thousands
        values, axes = np.linalg.eigh(rows.T @ rows)
        values = np.maximum(values, 0.0)
        factor = axes * np.sqrt(values / (values + found.alpha_))
    return Ridge(
        weight=np.atleast_2d(found.coef_).astype(np.float32),
        bias=np.atleast_1d(found.intercept_).astype(np.float32),
        center=center.astype(np.float32),
        factor=factor.astype(np.float32),
        penalty=float(found.alpha_),
    )


def _by_group(
    vectors: NDArray[np.float32], targets: NDArray[np.float32], weights: NDArray[np.float32], alike: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The one penalty with the lowest mean square of errors when groups are left out, (1,)."""
    root, rows = np.sqrt(weights.astype(np.float64)), vectors.astype(np.float64)
    spectrum = Spectrum.of(root[:, None] * (rows @ rows.T) * root)
    groups = [np.flatnonzero(alike == number) for number in np.unique(alike)]
    residuals = held_out_residuals(spectrum, root * targets.T, _PENALTIES, groups, root)
    losses = np.square(residuals).mean(axis=(0, 2))
    best: NDArray[np.float64] = _PENALTIES[[losses.argmin()]]
    return best


class Spectrum(NamedTuple):
    """Eigenvalues (n,) and eigenvectors, one a column (n, n), of a kernel."""

    values: NDArray[np.float64]
    vectors: NDArray[np.float64]

    @classmethod
    def of(cls, kernel: NDArray[np.float64]) -> Spectrum:
        """Decompose a kernel; what rounding makes negative is zero."""
        values, vectors = np.linalg.eigh(kernel)
        return cls(np.maximum(values, 0.0), vectors)


def held_out_residuals(
    kernel: NDArray[np.float64] | Spectrum,  # (n, n) symmetric, positive semidefinite
    y: NDArray[np.float64],  # (n,), or (T, n) for several targets
    alphas: Sequence[float] | NDArray[np.float64],  # A penalties, positive
    folds: Sequence[NDArray[np.int64]],  # rows of each fold; every row is in one
    # (n,) what the intercept multiplies, by default ones. With sample weights w, all of kernel (on both sides), y and
    # these are to be multiplied by their roots; so are the residuals.
    ones: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:  # (A, n) or (T, A, n) target minus prediction
    r"""Residuals of kernel ridge regression with an intercept, each row predicted without its fold.

    With :math:`G = (K + \alpha)^{-1}` and :math:`G' = G - G 1 1^T G / 1^T G 1`, training without the rows I leaves
    them the residuals :math:`[G'_{II}]^{-1} [G' y]_I`: one eigendecomposition serves every fold and every alpha.

    References
    ----------
    O. Dubrule, "Cross validation of kriging in a unique neighborhood", J. Int. Assoc. Math. Geol. 15 (1983) 687.
    """
    values, vectors = kernel if isinstance(kernel, Spectrum) else Spectrum.of(kernel)
    ones = vectors.sum(0) if ones is None else vectors.T @ ones
    targets = np.atleast_2d(y)
    residuals = np.empty((len(targets), len(alphas), targets.shape[1]))
    rows = [vectors[fold] for fold in folds]
    for number, alpha in enumerate(alphas):
        inverse = 1 / (values + alpha)
        root = np.sqrt(inverse)
        of_one = vectors @ (inverse * ones)
        total = ones @ (inverse * ones)
        # (n, T); one by one, so that a target has the same residuals to the bit whatever stands beside it.
        duals = np.stack(
            [vectors @ (inverse * (vectors.T @ own)) - of_one * (of_one @ own) / total for own in targets], 1
        )
        for fold, own in zip(folds, rows, strict=True):
            half = own * root  # times itself: half of the work of two matrices
            block = half @ half.T - np.outer(of_one[fold], of_one[fold]) / total
            residuals[:, number, fold] = np.linalg.solve(block, duals[fold]).T
    return residuals if y.ndim > 1 else residuals[0]


def minus_log_likelihoods(
    spectrum: Spectrum,  # of the kernel, multiplied on both sides by the roots of the sample weights
    root: NDArray[np.float64],  # (n,) these roots
    target: NDArray[np.float64],  # (n,) labels, multiplied by them
    alphas: Sequence[float],  # positive penalties
) -> list[float]:
    """Minus two log likelihoods of labels for each penalty, less constants, intercept and amplitude at their best."""
    one, y, found = spectrum.vectors.T @ root, spectrum.vectors.T @ target, []
    for alpha in alphas:
        inverse = 1 / (spectrum.values + alpha)
        rest = y - one * (one @ (inverse * y)) / (one @ (inverse * one))
        variance = max(float(rest @ (inverse * rest)) / len(y), 1e-300)
        found.append(len(y) * np.log(variance) + float(np.log(spectrum.values + alpha).sum()))
    return found


def fit_by_part(
    ridge: Ridge,  # on the same labels
    vectors: NDArray[np.float32],  # (n, d)
    targets: NDArray[np.float32],  # (n, T) standardised
    weights: NDArray[np.float32],  # (n,) of the rows, positive, one on average
    parts: NDArray[np.int64],  # (d,) number of the part to which a column belongs
    robust: bool,  # whether outlying labels weigh less
) -> Ridge:
    """Fit the regression, each target by itself, and put its prediction in the place of that of a ridge."""
    own = weights.astype(np.float64)
    center = np.average(vectors.astype(np.float64), 0, own)
    rows, place = vectors - center, np.unique(parts, return_inverse=True)[1]
    blocks = (rows[:, place == number] for number in range(place.max() + 1))
    kernels = np.stack([block @ block.T for block in blocks])  # (P, n, n)
    weight, bias = np.empty(ridge.weight.shape), np.empty(ridge.bias.shape)
    for number, target in enumerate(targets.astype(np.float64).T):
        dual, constant = _fit(kernels, target, own, robust)
        weight[number] = np.einsum("dn,nd->d", dual[place], rows)
        bias[number] = constant - weight[number] @ center
    return replace(ridge, weight=weight.astype(np.float32), bias=bias.astype(np.float32))


def _fit(kernels: Array, target: Array, weights: Array, robust: bool) -> tuple[Array, float]:
    """Weights (P, n) of the rows in each part, and constant, of one target.

    Where outlying labels are to matter less, shares are chosen twice, by ranks and by labels with the weights that this
    leaves them, and the mean is taken: ranks lose what large labels tell, and labels hold more noise.
    """
    root = np.sqrt(weights)
    if not robust:
        shares, penalty = _likeliest(root[:, None] * kernels * root, root * target, root)
        dual, constant, _ = _solved(np.tensordot(shares, kernels, 1), target, root, penalty)
        return np.outer(shares, dual), constant
    found, scores = [], _normal_scores(target, weights)
    for known in (scores, target):
        shares, penalty = _likeliest(root[:, None] * kernels * root, root * known, root)
        kernel = np.tensordot(shares, kernels, 1)
        for _ in range(_REWEIGHTINGS):
            dual, constant, residual = _solved(kernel, target, root, penalty)
            root = np.sqrt(weights * _trusted(np.abs(residual), weights))
        found.append((np.outer(shares, dual), constant))
    (one, first), (other, second) = found
    return (one + other) / 2, (first + second) / 2


def _trusted(residual: Array, weights: Array) -> Array:
    """Factors (n,) of labels with such absolute residuals, 1 unless they are outlying."""
    deviation = 1.4826 * _median(residual, weights)
    if not deviation > 0:
        return np.ones_like(residual)
    return np.minimum(1.0, _OUTLYING * deviation / np.maximum(residual, _TINY))


def _likeliest(kernels: Array, target: Array, root: Array) -> tuple[Array, float]:
    """Shares of the parts and penalty under which the labels are most likely."""
    variance = max(float(np.trace(kernels.sum(0))) / len(target), 1.0)
    begin = np.append(np.zeros(len(kernels)), min(np.log(variance), _LOG_PENALTIES[1]))
    bounds = [(-_MOST_SHARE, _MOST_SHARE)] * len(kernels) + [_LOG_PENALTIES]
    given, options = (kernels, target, root), {"maxiter": _STEPS}
    found = minimize(unlikelihood, begin, given, "L-BFGS-B", jac=True, bounds=bounds, options=options)
    return np.exp(found.x[:-1]), float(np.exp(found.x[-1]))


def unlikelihood(
    logs: Array,  # (P + 1,) logarithms of the shares and of the penalty
    kernels: Array,  # (P, n, n) of the parts, multiplied on both sides by the roots of the sample weights
    target: Array,  # (n,) labels, multiplied by them
    root: Array,  # (n,) these roots
) -> tuple[float, Array]:
    """Minus two log likelihoods of labels and shares, but for constants, and its slope.

    Amplitude and constant of the prediction are at their best.
    """
    n, shares, penalty = len(target), np.exp(logs[:-1]), np.exp(logs[-1])
    factor = cho_factor(np.tensordot(shares, kernels, 1) + penalty * np.eye(n), check_finite=False)
    inverse = cho_solve(factor, np.eye(n), check_finite=False)
    dual = _without_constant(inverse, root) @ target
    square = max(float(target @ dual), _TINY)
    moved = n * np.tensordot(kernels, np.outer(dual, dual), 2) / square
    slope = shares * (np.tensordot(kernels, inverse, 2) - moved) + 2 * logs[:-1] / _PRIOR**2
    last = penalty * (np.trace(inverse) - n * (dual @ dual) / square)
    total = n * np.log(square) + 2 * np.log(np.diagonal(factor[0])).sum() + (logs[:-1] ** 2).sum() / _PRIOR**2
    return float(total), np.append(slope, last)


def _solved(kernel: Array, target: Array, root: Array, penalty: float) -> tuple[Array, float, Array]:
    """Dual weights (n,), constant, and what each label differs from the prediction without it (n,)."""
    inverse = np.linalg.inv(root[:, None] * kernel * root + penalty * np.eye(len(root)))
    of_one = inverse @ root
    constant = float(of_one @ (root * target) / (of_one @ root))
    reduced = _without_constant(inverse, root)
    dual = reduced @ (root * target)
    return root * dual, constant, dual / np.diagonal(reduced) / root


def _without_constant(inverse: NDArray[np.floating], root: Array) -> Array:
    """The inverse kernel (n, n) of what a constant does not tell."""
    of_one = inverse @ root
    reduced: Array = inverse - np.outer(of_one, of_one) / (of_one @ root)
    return reduced


def _normal_scores(values: Array, weights: Array) -> Array:
    """What a normal distribution has at the ranks of values, ties in the middle of theirs."""
    _, which = np.unique(values, return_inverse=True)
    mass = np.bincount(which, weights)
    scores: Array = norm.ppf((np.cumsum(mass) - mass / 2) / mass.sum())[which]
    return scores


def _median(values: Array, weights: Array) -> float:
    """Weighted median, the lower one of two."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) >= weights.sum() / 2
    return float(values[order][reached.argmax()])
