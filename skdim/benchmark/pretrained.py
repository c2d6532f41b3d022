"""Tasks of a study in; point sets, pretrained encoders as files, and vectors of the tasks' crystals out."""

from __future__ import annotations

import hashlib
import itertools
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim.crystals.rows import as_structures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.benchmark.tasks import StudyTask
    from skdim.embedder import DeepInfoMaxEmbedder
    from skdim.points.pointsets import PointSets


@dataclass(frozen=True)
class Recipe:
    """How an embedder of a study comes to be.

    Attributes
    ----------
    preset : str
        Of `DeepInfoMaxEmbedder`.
    trained : bool
        Whether it is trained at all.
    transductive : bool
        Whether crystals of the test folds are among those it is pretrained on, without labels.
    """

    preset: str
    trained: bool = True
    transductive: bool = False


EMBEDDERS = {
    "default": Recipe("default"),
    "default untrained": Recipe("default", trained=False),
    "paper": Recipe("paper"),
    "paper untrained": Recipe("paper", trained=False),
    "default transductive": Recipe("default", transductive=True),
}
"""Feature sets of a study that are vectors of this package."""


def file_digest(path: Path) -> str:
    """Give the sha256 of a file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        Hexadecimal.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_facts(path: Path, history: Sequence[Mapping[str, float]], crystals: int) -> dict[str, Any]:
    """Say how a saved model came to be, whether in this run or in an earlier one.

    Parameters
    ----------
    path : Path
        Of the model.
    history : sequence of mappings
        Its ``history_``.
    crystals : int
        How many it was trained on.

    Returns
    -------
    dict
        For ``study.json``.
    """
    return {
        "crystals": crystals,
        "epochs": len(history),
        "seconds": round(float(sum(row["dur"] for row in history)), 3),
        "file": f"{path.parent.name}/{path.name}",
        "sha256": file_digest(path),
    }


class Encoders:
    """Encoders of a study: each is pretrained once, on the crystals of all its tasks, and kept as a file.

    Parameters
    ----------
    tasks : sequence of StudyTask
        Whose crystals are learned from, those of the test folds excepted.
    folder : Path
        Of the models; one that is found there is not trained again. The name of a file ends in a digest of the
        crystals, in their order, and of the parameters.
    max_epochs : int or None
        Of the pretraining; None leaves it to the preset.
    seed : int
        Of the pretraining.
    n_jobs : int or None
        Processes that featurize.
    verbose : int
        Whether to show progress bars.
    say : callable
        Is told, as text, what takes long.
    """

    def __init__(
        self,
        tasks: Sequence[StudyTask],
        folder: Path,
        max_epochs: int | None,
        seed: int,
        n_jobs: int | None,
        verbose: int,
        say: Callable[[str], None],
    ) -> None:
        self.tasks, self.folder, self.max_epochs, self.seed = list(tasks), folder, max_epochs, seed
        self.n_jobs, self.verbose, self.say = n_jobs, verbose, say
        self.facts: dict[str, dict[str, Any]] = {}
        self._points: dict[str, PointSets] = {}
        self._paths: dict[str, Path] = {}
        folder.mkdir(parents=True, exist_ok=True)

    @cached_property
    def _starts(self) -> list[int]:
        """Row at which each task begins when all are put one after the other."""
        return [0, *itertools.accumulate(len(task) for task in self.tasks)]

    def points(self, preset: str) -> PointSets:
        """Featurize the crystals of all tasks, one task after the other; only the first call does.

        Parameters
        ----------
        preset : str
            Whose featurizer is used.

        Returns
        -------
        PointSets
            Crystals that cannot be used have no sites.
        """
        if preset not in self._points:
            from skdim.learning.presets import PRESETS
            from skdim.points.featurizer import CrystalPointSetTransformer

            featurizer = CrystalPointSetTransformer(**PRESETS[preset].featurizer, on_error="nan", n_jobs=self.n_jobs)
            rows = [structure for task in self.tasks for structure in as_structures(task.structures)]
            self._points[preset] = featurizer.fit_transform(rows)
        return self._points[preset]

    def points_of(self, preset: str, task: StudyTask) -> PointSets:
        """Give the point sets of one task.

        Parameters
        ----------
        preset : str
            Whose featurizer is used.
        task : StudyTask
            One of the tasks.

        Returns
        -------
        PointSets
        """
        place = self.tasks.index(task)
        return self.points(preset)[self._starts[place] : self._starts[place + 1]]

    def unlabelled(self, transductive: bool) -> NDArray[np.int64]:
        """Give the rows that are pretrained on: each id once, and none that is in any test fold.

        Parameters
        ----------
        transductive : bool
            Whether those of the test folds are taken too.

        Returns
        -------
        ndarray of int
        """
        ids = [name for task in self.tasks for name in task.material_id]
        tested = {
            name for task in self.tasks for name, test in zip(task.material_id, task.test_mask, strict=True) if test
        }
        first = {name: row for row, name in reversed(list(enumerate(ids)))}
        return np.array(sorted(row for name, row in first.items() if transductive or name not in tested), np.int64)

    def path(self, name: str) -> Path:
        """Pretrain an encoder, or find the file of one that was pretrained before.

        Parameters
        ----------
        name : str
            One of `EMBEDDERS`.

        Returns
        -------
        Path
            Of the saved `DeepInfoMaxEmbedder`.
        """
        if name not in self._paths:
            self._paths[name] = self._pretrained(name)
        return self._paths[name]

    def _pretrained(self, name: str) -> Path:
        """Pretrain and save, unless the file is there."""
        from skdim.embedder import DeepInfoMaxEmbedder
        from skdim.learning.pretraincache import pretraining_key

        recipe = EMBEDDERS[name]
        epochs = self.max_epochs if recipe.trained else 0
        embedder = DeepInfoMaxEmbedder(preset=recipe.preset, max_epochs=epochs, random_state=self.seed)
        points = self.points(recipe.preset)[self.unlabelled(recipe.transductive)]
        path = self.folder / f"{name.replace(' ', '-')}-{pretraining_key(embedder, points)[:12]}.safetensors"
        if not path.exists():
            self.say(f"{name}: {'pretraining on' if epochs != 0 else 'scales of'} {len(points):,} crystals")
            checkpoint = path.with_suffix("") if recipe.trained else None
            embedder.set_params(verbose=self.verbose, checkpoint_dir=checkpoint).fit(points)
            embedder.set_params(verbose=0, checkpoint_dir=None)
            embedder.save(path)
            if checkpoint is not None:
                shutil.rmtree(checkpoint, ignore_errors=True)
        self._describe(name, path, len(points))
        return path

    def _describe(self, name: str, path: Path, crystals: int) -> None:
        """Note what there is to say about a pretraining."""
        self.facts[name] = model_facts(path, self.load(path).history_, crystals)

    @staticmethod
    def load(path: Path) -> DeepInfoMaxEmbedder:
        """Read a saved encoder."""
        from skdim.embedder import DeepInfoMaxEmbedder

        return DeepInfoMaxEmbedder.load(path)

    def vectors(self, name: str, task: StudyTask) -> NDArray[np.float32]:
        """Give the vectors of one task's crystals.

        Parameters
        ----------
        name : str
            One of `EMBEDDERS`.
        task : StudyTask
            One of the tasks.

        Returns
        -------
        ndarray of shape (n, d)
            NaN for crystals that cannot be used.
        """
        from skdim.network.threads import one_torch_thread

        embedder = self.load(self.path(name))
        with one_torch_thread():
            return embedder.transform(self.points_of(EMBEDDERS[name].preset, task))
