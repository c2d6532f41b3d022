"""Tasks of a study: crystals, their targets and a fixed test fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim.crystals.rows import as_structures
from skdim.datasets import in_test_fold
from skdim.study.crystaltable import read_labelled_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LABELS = (50, 100, 250, 1000)
TABLE_TEST_SHARE = 0.1
"""Share of the crystals of a table that are its test fold."""


@dataclass(frozen=True, eq=False)
class StudyTask:
    """Crystals, the property to predict, and which of the crystals are for the test only.

    Attributes
    ----------
    name : str
        In the records.
    structures : sequence of n crystals
        Of any accepted kind.
    target : ndarray of shape (n,)
        What to predict; NaN for crystals that are pretrained on only.
    material_id : sequence of n str
        Crystals of several tasks with the same id are one crystal: it is used once in pretraining, and not at all if it
        is in the test fold of any task.
    test_mask : ndarray of bool, shape (n,)
        True for the rows of the test fold.
    unit : str
        Of the target.
    labels : sequence of int
        Numbers of labels that a study uses by default.
    other : str or None
        Bundled data set of another property, or another task of the study, which the start "other property" is trained
        on first.
    """

    name: str
    structures: Any
    target: NDArray[np.float64]
    material_id: Sequence[str]
    test_mask: NDArray[np.bool_]
    unit: str = ""
    labels: tuple[int, ...] = _LABELS
    other: str | None = None

    def __len__(self) -> int:
        """Give the number of crystals."""
        return len(self.target)

    def sample(self, crystals: int | None, seed: int) -> StudyTask:
        """Draw some of the crystals.

        Parameters
        ----------
        crystals : int or None
            How many; None, or more than there are, leaves all.
        seed : int
            Decides which.

        Returns
        -------
        StudyTask
        """
        if crystals is None or crystals >= len(self):
            return self
        rows = np.random.default_rng(seed).permutation(len(self))[:crystals]
        # By position, also where they are Series with an index.
        structures, ids = as_structures(self.structures), list(self.material_id)
        return replace(
            self,
            structures=[structures[row] for row in rows],
            target=np.asarray(self.target)[rows],
            material_id=[ids[row] for row in rows],
            test_mask=np.asarray(self.test_mask)[rows],
        )


@dataclass(frozen=True)
class _Source:
    """How a bundled data set becomes a task."""

    loader: str
    name: str
    unit: str
    labels: tuple[int, ...]
    other: str


DATASETS = {
    "formation_energy": _Source("load_formation_energy", "formation energy", "eV/atom", _LABELS, "band_gap"),
    "band_gap": _Source("load_band_gap", "band gap", "eV", (50, 100, 250, 500), "formation_energy"),
    "elastic_moduli": _Source("load_elastic_moduli", "log10 K", "log10(GPa)", (50, 100, 250, 500), "formation_energy"),
}
"""Bundled data sets that a study can take, by the ends of their loaders' names."""


def load_task(name: str) -> StudyTask:
    """Load one of `DATASETS` as a task.

    Examples
    --------
    >>> task = load_task("elastic_moduli")
    >>> task.name, len(task), task.labels
    ('log10 K', 1181, (50, 100, 250, 500))
    """
    import skdim.datasets

    if name not in DATASETS:
        raise ValueError(f"tasks must be among {', '.join(DATASETS)}, or StudyTasks, got {name!r}.")
    source = DATASETS[name]
    bunch = getattr(skdim.datasets, source.loader)()
    ids = bunch.material_id.tolist()
    return StudyTask(
        source.name, bunch.data, bunch.target, ids, bunch.test_mask, source.unit, source.labels, source.other
    )


def load_matbench_task(name: str, data_home: Any = None) -> StudyTask:
    """Load a Matbench task as a task of a study; its file is downloaded if it is missing.

    A fifth of the rows, by the hash of Matbench's id, is the test fold (`skdim.datasets.in_test_fold`): one fixed
    fold, not Matbench's five. A target that is not a number is a ValueError.
    """
    from skdim.datasets import fetch_matbench

    if str(name).removeprefix("matbench_") == "mp_is_metal":
        raise ValueError(f"the target of a Matbench task must be a number; that of {name!r} is a class.")
    bunch = fetch_matbench(name, data_home=data_home)
    ids = bunch.material_id.tolist()
    target = np.asarray(bunch.target, np.float64)
    return StudyTask(bunch.target_names[0], bunch.data, target, ids, in_test_fold(ids))


def load_table_tasks(
    path: str | Path,
    targets: Sequence[str] | None = None,
    *,
    rows: int | None = None,
    seed: int = 0,
    column: str | None = None,
    id_column: str | None = None,
) -> list[StudyTask]:
    """Make tasks of the crystals and labels in a table, one for each column of labels, on the same crystals.

    A tenth of the crystals is the test fold of every task: those whose ids `skdim.datasets.in_test_fold` names with
    ``share=0.1``, which are among the test crystals of the bundled sets. Each property is the other one of the
    property before it.

    Parameters
    ----------
    path : str or path
        Parquet, Feather (Arrow) or CSV, with a row a crystal: its id, labels, and the crystal in one column as every
        command takes it, or (not in CSV) in ``cell`` (a, b, c in Angstrom and three angles in degrees, or three
        vectors), ``numbers`` (atomic numbers) and ``frac_coords`` (fractional coordinates, flat or by site).
    targets : sequence of str or None, default=None
        Columns of the labels; None takes every column of floating-point numbers. Rows without any are left out.
    rows : int or None, default=None
        Crystals to take, drawn at random; None takes all.
    seed : int, default=0
        Decides which.
    column, id_column : str or None, default=None
        Columns of the crystals and of their ids, where they are not found by their names.

    Returns
    -------
    list of StudyTask
        Named by the columns.
    """
    table = read_labelled_table(Path(path), targets, rows, seed, column, id_column)
    ids, names = list(table.crystals.ids), list(table.labels)
    others = dict(zip(names, [*names[1:], names[0]], strict=True)) if len(names) > 1 else {}
    test = in_test_fold(ids, share=TABLE_TEST_SHARE)
    return [
        StudyTask(name, table.crystals, values, ids, test, other=others.get(name))
        for name, values in table.labels.items()
    ]
