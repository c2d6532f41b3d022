r"""Kernel regressors that were trained without one block of rows each, told from one that was trained on all.

With :math:`C = K + \alpha W^{-1}` the weights :math:`\beta` of the rows and the constant b solve a linear system: that
of C with a border of ones. Leaving out the rows I takes one block of its inverse, so that one factor of C serves every
block, and predictions without any of them cost little more than those of the model itself.

References
----------
O. Dubrule, "Cross validation of kriging in a unique neighborhood", J. Int. Assoc. Math. Geol. 15 (1983) 687.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import cho_solve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from skdim.evaluation._kernel_ridge import KernelRidgeCV


@dataclass(frozen=True)
class _Without:
    """What changes where a block of b rows is left out."""

    rows: NDArray[np.int64]  # (b,)
    residual: NDArray[np.float64]  # (b,) their targets less what is predicted without them
    inverse: NDArray[np.float64]  # (b, b) of the block of the inverse of C
    scale: float  # deviation of the targets that are left, in that of the kernel


@dataclass(frozen=True)
class LeftOut:
    """Models of one penalty and length scale, each trained on all n rows but a block."""

    model: KernelRidgeCV  # trained on all rows
    constant: NDArray[np.float64]  # (n,) share of each target in the constant
    without: Sequence[_Without]

    @classmethod
    def of(
        cls,
        model: KernelRidgeCV,  # trained on all rows
        blocks: Sequence[NDArray[np.int64]],  # rows of each; one without rows leaves out nothing
    ) -> LeftOut:
        """Prepare to leave out blocks."""
        n, factor, dual = len(model.dual_coef_), model.factor(), model.dual_coef_
        of_one = cho_solve(factor, np.ones(n), check_finite=False)
        constant = of_one / of_one.sum()
        rows = np.concatenate([np.empty(0, np.int64), *blocks])
        columns = cho_solve(factor, np.eye(n)[:, rows], check_finite=False)  # of the inverse of C
        found, first, total = [], 0, n * model.scale_**2
        for block in blocks:
            inverse = columns[block, first : first + len(block)]
            # That of the bordered system.
            residual = np.linalg.solve(inverse - np.outer(constant[block], of_one[block]), dual[block])
            left = max(float(total - dual[block] @ residual), 0.0)
            scale = float(np.sqrt(left / max(n - len(block), 1)))
            found.append(_Without(block, residual, np.linalg.inv(inverse), scale))
            first += len(block)
        return cls(model, constant, found)

    def predict(
        self,
        X: NDArray[Any],  # (m, d)
        pairs: NDArray[np.float64],  # (m, n) as `KernelRidgeCV.pairs` gives them
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict rows by the B models, and say how unsure each is: twice (B, m)."""
        model = self.model
        kernel = model.of_pairs(pairs, model.gamma_)
        solved = cho_solve(model.factor(), kernel.T, check_finite=False)  # (n, m)
        mean = kernel @ model.dual_coef_ + model.intercept_
        unknown = model.prior(X) - np.einsum("ij,ji->i", kernel, solved)
        rest = 1.0 - solved.sum(0)
        means, doubts = np.empty((len(self.without), len(X))), np.empty((len(self.without), len(X)))
        for place, block in enumerate(self.without):
            own = solved[block.rows]  # (b, m)
            means[place] = mean - block.residual @ own - (block.residual @ self.constant[block.rows]) * rest
            more = np.einsum("im,ij,jm->m", own, block.inverse, own, optimize=True)
            doubts[place] = block.scale * np.sqrt(model.alpha_ + np.maximum(unknown + more, 0.0))
        return means, doubts
