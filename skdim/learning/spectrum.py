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
    kernel: NDArray[np.float64] | Spectrum,  # (n, n) symmetric, positive semidefinite
    y: NDArray[np.float64],  # (n,)
    alphas: Sequence[float] | NDArray[np.float64],  # A penalties, positive
    folds: Sequence[NDArray[np.int64]],  # rows of each fold; every row is in one
    # (n,) what the intercept multiplies, by default ones. With sample weights w, all of kernel (on both sides), y and
    # these are to be multiplied by their roots; so are the residuals.
    ones: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:  # (A, n) target minus prediction
    r"""Residuals of kernel ridge regression with an intercept, each row predicted without its fold.

    With :math:`G = (K + \alpha)^{-1}` and :math:`G' = G - G 1 1^T G / 1^T G 1`, training without the rows I leaves
    them the residuals :math:`[G'_{II}]^{-1} [G' y]_I`: one eigendecomposition serves every fold and every alpha.

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
