"""Held-out residuals and likelihoods for many penalties from one eigendecomposition of a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    kernel: NDArray[np.float64] | Spectrum,
    y: NDArray[np.float64],
    alphas: Sequence[float] | NDArray[np.float64],
    folds: Sequence[NDArray[np.int64]],
    ones: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    r"""Residuals of kernel ridge regression with an intercept, each row predicted without its fold.

    With :math:`G = (K + \alpha)^{-1}` and :math:`G' = G - G 1 1^T G / 1^T G 1`, training without the rows I leaves
    them the residuals :math:`[G'_{II}]^{-1} [G' y]_I`: one eigendecomposition serves every fold and every alpha.

    Parameters
    ----------
    kernel : ndarray of shape (n, n), or Spectrum
        Symmetric, positive semidefinite.
    y : ndarray of shape (n,)
        Targets.
    alphas : sequence of A floats
        Positive penalties.
    folds : sequence of ndarray
        Rows of each fold; every row is in one.
    ones : ndarray of shape (n,), optional
        What the intercept multiplies, by default ones. With sample weights w, all of kernel (on both sides), y and
        these are to be multiplied by their roots; so are the residuals.

    Returns
    -------
    ndarray of shape (A, n)
        Target minus prediction.

    References
    ----------
    O. Dubrule, "Cross validation of kriging in a unique neighborhood", J. Int. Assoc. Math. Geol. 15 (1983) 687.
    """
    values, vectors = kernel if isinstance(kernel, Spectrum) else Spectrum.of(kernel)
    ones = vectors.sum(0) if ones is None else vectors.T @ ones
    target = vectors.T @ y
    residuals = np.empty((len(alphas), len(y)))
    for row, alpha in zip(residuals, alphas, strict=True):
        inverse = 1 / (values + alpha)
        of_one = vectors @ (inverse * ones)
        total = ones @ (inverse * ones)
        dual = vectors @ (inverse * target) - of_one * (of_one @ y) / total
        for fold in folds:
            block = (vectors[fold] * inverse) @ vectors[fold].T - np.outer(of_one[fold], of_one[fold]) / total
            row[fold] = np.linalg.solve(block, dual[fold])
    return residuals


def minus_log_likelihoods(
    spectrum: Spectrum, root: NDArray[np.float64], target: NDArray[np.float64], alphas: Sequence[float]
) -> list[float]:
    """Minus two log likelihoods of the labels for each penalty, less constants, intercept and amplitude at their best.

    Parameters
    ----------
    spectrum : Spectrum
        Of the kernel, multiplied on both sides by the roots of the sample weights.
    root : ndarray of shape (n,)
        These roots.
    target : ndarray of shape (n,)
        Labels, multiplied by them.
    alphas : sequence of float
        Positive penalties.

    Returns
    -------
    list of float
    """
    one, y, found = spectrum.vectors.T @ root, spectrum.vectors.T @ target, []
    for alpha in alphas:
        inverse = 1 / (spectrum.values + alpha)
        rest = y - one * (one @ (inverse * y)) / (one @ (inverse * one))
        variance = max(float(rest @ (inverse * rest)) / len(y), 1e-300)
        found.append(len(y) * np.log(variance) + float(np.log(spectrum.values + alpha).sum()))
    return found
