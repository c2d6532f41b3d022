"""Structures, labels and ids as a scikit-learn Bunch, a pair of data and target, or their pandas forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd
    from pymatgen.core.structure import Structure


@dataclass(frozen=True)
class Records:
    """Crystals of a set, row by row, with every label the set has."""

    material_id: Sequence[str]
    structures: Sequence[Structure]
    labels: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def structure_array(self) -> NDArray[np.object_]:
        """The structures as a one-dimensional object array."""
        # fromiter stores each structure as it is; np.array would look into it and find a sequence of sites.
        return np.fromiter(self.structures, dtype=object, count=len(self.structures))

    def frame(self) -> pd.DataFrame:
        """Put id, structure and every label side by side in a data frame."""
        import pandas as pd

        columns = {"material_id": list(self.material_id), "structure": self.structure_array, **self.labels}
        return pd.DataFrame(columns)


def deliver(records: Records, target: str | None, *, return_X_y: bool, as_frame: bool, **extra: Any) -> Any:
    """Shape records as scikit-learn's loaders do; `extra` goes into the Bunch."""
    frame = records.frame() if as_frame else None
    data = records.structure_array if frame is None else frame[["structure"]]
    y = None
    if target is not None:
        y = records.labels[target] if frame is None else frame[target]
    if return_X_y:
        return data, y

    # scikit-learn's utilities import pandas where it is installed: only when something is loaded, not on import.
    from sklearn.utils import Bunch

    return Bunch(
        data=data,
        target=y,
        frame=frame,
        material_id=np.array(list(records.material_id), dtype=np.str_),
        feature_names=["structure"],
        target_names=[] if target is None else [target],
        **extra,
    )
