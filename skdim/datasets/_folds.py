"""The fixed test fold that every task shares, by material id."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from skdim._files import sha256

# A fifth of the ids. The last digits place the cut so that the formation-energy set splits into 3150 + 788.
_TEST_SHARE: Final = 0.2053


def in_test_fold(material_ids: Iterable[str], share: float = _TEST_SHARE) -> NDArray[np.bool_]:
    """Tell which crystals belong to the test fold that all bundled tasks share.

    A crystal is a test crystal if the first 32 bits of the SHA-256 of its material id, read as a fraction of
    :math:`2^{32}`, are below 0.2053. So the fold depends on the id alone: not on the task, the order of the rows, the
    platform or any version. Use it on crystals of your own from the Materials Project to keep the bundled test
    crystals out of a pretraining set.

    Parameters
    ----------
    material_ids : iterable of str, length n
        Materials Project ids as the loaders return them, for example ``"mp-149"``.
    share : float, default=0.2053
        What the fraction must be below. With a smaller share the fold is a part of that with a larger one.

    Returns
    -------
    ndarray of bool, shape (n,)
        True where the crystal belongs to the test fold.

    Raises
    ------
    TypeError
        If `material_ids` is one string, or holds anything but strings.

    Examples
    --------
    >>> from skdim.datasets import in_test_fold
    >>> in_test_fold(["mp-149", "mp-66", "mp-441"])
    array([False,  True, False])
    """
    if isinstance(material_ids, str):
        raise TypeError(f"material_ids must be a sequence of strings, got the single string {material_ids!r}")
    ids = list(material_ids)
    wrong = [(row, value) for row, value in enumerate(ids) if not isinstance(value, str)]
    if wrong:
        shown = ", ".join(f"row {row}: {value!r}" for row, value in wrong[:5])
        raise TypeError(f"material_ids must hold strings such as 'mp-149'; {len(wrong)} do not ({shown})")
    return np.fromiter((_fraction(material_id) < share for material_id in ids), dtype=np.bool_, count=len(ids))


def _fraction(material_id: str) -> float:
    """Map an id to [0, 1), evenly, and always to the same number."""
    return int(sha256(material_id.encode())[:8], 16) / 2**32
