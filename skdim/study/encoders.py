"""The encoders of a study: pretrained once on the crystals of all its tasks, kept as files."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim._files import file_digest
from skdim.crystals.rows import as_structures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.embedder import DeepInfoMaxEmbedder
    from skdim.points.pointsets import PointSets
    from skdim.study.tasks import StudyTask


@dataclass(frozen=True)
class Pretraining:
    """How an encoder of a study is made."""

    preset: str  # of `DeepInfoMaxEmbedder`
    summary: str  # what its vectors are, for readers of the report
    trained: bool = True  # whether it is trained at all
    transductive: bool = False  # whether it also sees the crystals of the test folds, without labels


PRETRAININGS = {
    "default": Pretraining("default", "vectors of an encoder pretrained with the default preset"),
    "default untrained": Pretraining("default", "vectors of the same encoder before training", trained=False),
    "paper": Pretraining("paper", "vectors of an encoder pretrained with the published preset"),
    "paper untrained": Pretraining("paper", "vectors of the same encoder before training", trained=False),
    "default transductive": Pretraining(
        "default", "as default, pretrained on the structures of the test folds too", transductive=True
    ),
}
"""Feature sets of a study that are vectors of this package."""


def model_facts(path: Path, history: Sequence[Mapping[str, float]], crystals: int) -> dict[str, Any]:
    """Say for ``study.json`` how a saved model was made: its file, its ``history_`` and on how many crystals."""
    return {
        "crystals": crystals,
        "epochs": len(history),
        "seconds": round(float(sum(row["dur"] for row in history)), 3),
        "file": f"{path.parent.name}/{path.name}",
        "sha256": file_digest(path),
    }


class Encoders:
    """The encoders of a study and the point sets of its crystals; each is made when it is first needed.

    ``facts`` holds what there is to say about each encoder, for ``study.json``.
    """

    def __init__(
        self,
        tasks: Sequence[StudyTask],  # their crystals are pretrained on, those of the test folds excepted
        # For the models; one that is found there is not trained again. The name of a file ends in a digest of the
        # crystals, in their order, and of the parameters.
        folder: Path,
        max_epochs: int | None,  # of the pretraining; None leaves it to the preset
        seed: int,  # of the pretraining
        n_jobs: int | None,  # processes that featurize
        verbose: int,  # whether to show progress bars
        say: Callable[[str], None],  # called with a message before long steps
    ) -> None:
        self.tasks, self.folder, self.max_epochs, self.seed = list(tasks), folder, max_epochs, seed
        self.n_jobs, self.verbose, self.say = n_jobs, verbose, say
        self.facts: dict[str, dict[str, Any]] = {}
        self._points: dict[str, PointSets] = {}
        self._paths: dict[str, Path] = {}
        folder.mkdir(parents=True, exist_ok=True)

    @cached_property
    def tested(self) -> set[str]:
        """Ids of the crystals in the test fold of any task."""
        pairs = (pair for task in self.tasks for pair in zip(task.material_id, task.test_mask, strict=True))
        return {name for name, test in pairs if test}

    def points(self, preset: str) -> PointSets:
        """Featurize the crystals of all tasks, one task after the other; those that cannot be used have no sites."""
        if preset not in self._points:
            from skdim.learning.presets import PRESETS
            from skdim.points.featurizer import CrystalPointSetTransformer

            featurizer = CrystalPointSetTransformer(**PRESETS[preset].featurizer, on_error="nan", n_jobs=self.n_jobs)
            rows = [structure for task in self.tasks for structure in as_structures(task.structures)]
            self._points[preset] = featurizer.fit_transform(rows)
        return self._points[preset]

    def points_of(self, preset: str, task: StudyTask) -> PointSets:
        """Return the point sets of one task."""
        starts = [0, *itertools.accumulate(len(one) for one in self.tasks)]
        place = self.tasks.index(task)
        return self.points(preset)[starts[place] : starts[place + 1]]

    def unlabelled(self, transductive: bool) -> NDArray[np.int64]:
        """Return the rows to pretrain on: each id once, and none of a test fold unless ``transductive``."""
        ids = [name for task in self.tasks for name in task.material_id]
        first = {name: row for row, name in reversed(list(enumerate(ids)))}
        return np.array(sorted(row for name, row in first.items() if transductive or name not in self.tested), np.int64)

    def path(self, name: str) -> Path:
        """Pretrain one of `PRETRAININGS`, or find the file of the `DeepInfoMaxEmbedder` that was pretrained before."""
        if name not in self._paths:
            self._paths[name] = self._pretrained(name)
        return self._paths[name]

    def _pretrained(self, name: str) -> Path:
        """Pretrain and save, unless the file is there."""
        from skdim.embedder import DeepInfoMaxEmbedder
        from skdim.learning.pretraincache import pretraining_key

        pretraining = PRETRAININGS[name]
        epochs = self.max_epochs if pretraining.trained else 0
        embedder = DeepInfoMaxEmbedder(preset=pretraining.preset, max_epochs=epochs, random_state=self.seed)
        points = self.points(pretraining.preset)[self.unlabelled(pretraining.transductive)]
        path = self.folder / f"{name.replace(' ', '-')}-{pretraining_key(embedder, points)[:12]}.safetensors"
        if not path.exists():
            self.say(f"{name}: {'pretraining on' if epochs != 0 else 'scales of'} {len(points):,} crystals")
            checkpoint = path.with_suffix("") if pretraining.trained else None
            embedder.set_params(verbose=self.verbose, checkpoint_dir=checkpoint).fit(points)
            embedder.set_params(verbose=0, checkpoint_dir=None)
            embedder.save(path)
            if checkpoint is not None:
                shutil.rmtree(checkpoint, ignore_errors=True)
        self.facts[name] = model_facts(path, DeepInfoMaxEmbedder.load(path).history_, len(points))
        return path

    def vectors(self, name: str, task: StudyTask) -> NDArray[np.float32]:
        """Return the vectors (n, d) of one task's crystals; NaN for those that cannot be used."""
        from skdim.embedder import DeepInfoMaxEmbedder
        from skdim.network.threads import one_torch_thread

        embedder: DeepInfoMaxEmbedder = DeepInfoMaxEmbedder.load(self.path(name))
        with one_torch_thread():
            return embedder.transform(self.points_of(PRETRAININGS[name].preset, task))
