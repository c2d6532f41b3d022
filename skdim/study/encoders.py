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

import skdim
from skdim._files import file_digest, replacing
from skdim.crystals.rows import as_structures
from skdim.exceptions import InputError
from skdim.points.pointsets import PointSets
from skdim.study.crystaltable import TableCrystals
from skdim.study.finished import basis_of
from skdim.study.tablepoints import kept_points

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.embedder import DeepInfoMaxEmbedder
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


_PRESETS = ("default", "paper")


def model_facts(path: Path, history: Sequence[Mapping[str, float]], crystals: int) -> dict[str, Any]:
    """Say for ``study.json`` how a saved model was made: its file, its ``history_`` and on how many crystals."""
    return {
        "crystals": crystals,
        "epochs": len(history),
        "seconds": round(float(sum(row["dur"] for row in history)), 3),
        "file": f"{path.parent.name}/{path.name}",
        "sha256": file_digest(path),
    }


def ids_file(model: Path) -> Path:
    """Return where the ids of the crystals are that a model was pretrained on, one a line."""
    return model.with_suffix(".ids.txt")


class Encoders:
    """The encoders of a study and the point sets of its crystals; each is made when it is first needed.

    ``facts`` describes each encoder, for ``study.json``.
    """

    def __init__(
        self,
        tasks: Sequence[StudyTask],  # their crystals are pretrained on, those of the test folds excepted
        # For the models; one that is found there is not trained again. The name of a file ends in a digest of the
        # crystals, in their order, and of the parameters. Point sets of tables are in a folder beside it.
        folder: Path,
        max_epochs: int | Mapping[str, int] | None,  # of the pretraining, of all or by preset; None leaves it to these
        seed: int,  # of the pretraining
        n_jobs: int | None,  # processes that featurize
        verbose: int,  # whether to show progress bars
        say: Callable[[str], None],  # called with a message before long steps
        given: Mapping[str, Path] | None = None,  # files of encoders that were pretrained elsewhere
        device: str = "auto",  # where to compute
    ) -> None:
        self.tasks, self.folder, self.seed = list(tasks), folder, seed
        self.max_epochs = max_epochs if isinstance(max_epochs, Mapping) else dict.fromkeys(_PRESETS, max_epochs)
        self.n_jobs, self.verbose, self.say, self.device = n_jobs, verbose, say, device
        self.facts: dict[str, dict[str, Any]] = {}
        self.given = {name: Path(path) for name, path in (given or {}).items()}
        self._points: dict[str, PointSets] = {}
        self._paths: dict[str, Path] = {}
        # Several tasks may be on the same crystals.
        self._sets = list({id(task.structures): task for task in self.tasks}.values())
        folder.mkdir(parents=True, exist_ok=True)

    @cached_property
    def tested(self) -> set[str]:
        """Ids of the crystals in the test fold of any task."""
        pairs = (pair for task in self.tasks for pair in zip(task.material_id, task.test_mask, strict=True))
        return {name for name, test in pairs if test}

    def points(self, preset: str) -> PointSets:
        """Featurize the crystals of all tasks, one set after the other; those that cannot be used have no sites."""
        if preset not in self._points:
            from skdim.learning.presets import PRESETS
            from skdim.points.featurizer import CrystalPointSetTransformer

            featurizer = CrystalPointSetTransformer(**PRESETS[preset].featurizer, on_error="nan", n_jobs=self.n_jobs)
            self._points[preset] = PointSets.concatenate(
                [self._featurized(task.structures, featurizer.fit()) for task in self._sets]
            )
        return self._points[preset]

    def _featurized(self, structures: Any, featurizer: Any) -> PointSets:
        """Featurize the crystals of a task."""
        if isinstance(structures, TableCrystals):
            return kept_points(structures, featurizer, self.folder.parent / "points", self.say)
        points: PointSets = featurizer.transform(as_structures(structures))
        return points

    def points_of(self, preset: str, task: StudyTask) -> PointSets:
        """Return the point sets of one task."""
        starts = [0, *itertools.accumulate(len(one) for one in self._sets)]
        place = next(k for k, one in enumerate(self._sets) if one.structures is task.structures)
        return self.points(preset)[starts[place] : starts[place + 1]]

    def unlabelled(self, transductive: bool) -> NDArray[np.int64]:
        """Return the rows to pretrain on: each id once, and none of a test fold unless ``transductive``."""
        first = {name: row for row, name in reversed(list(enumerate(self._ids)))}
        return np.array(sorted(row for name, row in first.items() if transductive or name not in self.tested), np.int64)

    @property
    def _ids(self) -> list[str]:
        """Ids of the crystals in the order of the point sets."""
        return [name for task in self._sets for name in task.material_id]

    def key(self, estimator: Any, points: PointSets, preset: str, *more: Any) -> str:
        """Digest what decides a training: an estimator, its crystals, and whatever else does.

        Of tables their files count and not the point sets, so that a model that was trained on another machine, which
        rounds otherwise, is found in the folder.
        """
        from skdim.learning.pretraincache import pretraining_key

        if not all(isinstance(task.structures, TableCrystals) for task in self._sets):
            return basis_of(pretraining_key(estimator, points), *more) if more else pretraining_key(estimator, points)
        parameters = sorted(estimator.get_params(deep=False).items())
        tables = [[task.structures.key, sorted(self.tested)] for task in self._sets]
        return basis_of(
            skdim.__version__, type(estimator).__name__, str(parameters), tables, preset, len(points), *more
        )

    def path(self, name: str) -> Path:
        """Pretrain one of `PRETRAININGS`, or find the file of the `DeepInfoMaxEmbedder` that was pretrained before."""
        if name not in self._paths:
            self._paths[name] = self._taken(name) if name in self.given else self._pretrained(name)
        return self._paths[name]

    def _pretrained(self, name: str) -> Path:
        """Pretrain and save, unless the file is there."""
        from skdim.embedder import DeepInfoMaxEmbedder

        pretraining = PRETRAININGS[name]
        epochs = self.max_epochs.get(pretraining.preset) if pretraining.trained else 0
        embedder = DeepInfoMaxEmbedder(preset=pretraining.preset, max_epochs=epochs, random_state=self.seed)
        rows = self.unlabelled(pretraining.transductive)
        points = self.points(pretraining.preset)[rows]
        path = (
            self.folder / f"{name.replace(' ', '-')}-{self.key(embedder, points, pretraining.preset)[:12]}.safetensors"
        )
        if not path.exists():
            self.say(f"{name}: {'pretraining on' if epochs != 0 else 'scales of'} {len(points):,} crystals")
            checkpoint = path.with_suffix("") if pretraining.trained else None
            embedder.set_params(verbose=self.verbose, checkpoint_dir=checkpoint, device=self.device).fit(points)
            embedder.set_params(verbose=0, checkpoint_dir=None)
            ids = self._ids
            ids_file(path).write_text("".join(f"{ids[row]}\n" for row in rows), encoding="utf-8")
            embedder.save(path)
            if checkpoint is not None:
                shutil.rmtree(checkpoint, ignore_errors=True)
        self.facts[name] = model_facts(path, DeepInfoMaxEmbedder.load(path).history_, len(points))
        return path

    def check_given(self) -> None:
        """Refuse files that are no encoder of the preset, or that were pretrained on crystals of a test fold."""
        from skdim.embedder import DeepInfoMaxEmbedder

        for name, file in self.given.items():
            if name not in PRETRAININGS or not PRETRAININGS[name].trained:
                trained = [known for known, one in PRETRAININGS.items() if one.trained]
                raise InputError(f"pretrained must name encoders among {', '.join(trained)}, got {name!r}.")
            preset, wanted = DeepInfoMaxEmbedder.load(file).preset, PRETRAININGS[name].preset
            if preset != wanted:
                raise InputError(f"pretrained[{name!r}] must be of the preset {wanted!r}; {str(file)!r} is {preset!r}.")
            seen = self._seen(file) & self.tested
            if seen and not PRETRAININGS[name].transductive:
                raise InputError(
                    f"pretrained[{name!r}]: {str(file)!r} was pretrained on {len(seen)} crystals of the test fold, "
                    f"such as {min(seen)!r}; pretrain it on the training fold."
                )

    def _seen(self, file: Path) -> set[str]:
        """Ids of the crystals that a given encoder was pretrained on; none where that is not known."""
        ids = ids_file(file)
        return set(ids.read_text(encoding="utf-8").split("\n")[:-1]) if ids.is_file() else set()

    def _taken(self, name: str) -> Path:
        """Copy the file of an encoder that was pretrained elsewhere."""
        from skdim.embedder import DeepInfoMaxEmbedder

        file = self.given[name]
        path = self.folder / f"{name.replace(' ', '-')}-given-{file_digest(file)[:12]}.safetensors"
        if not path.exists():
            with replacing(path) as draft:
                shutil.copyfile(file, draft)
        embedder: DeepInfoMaxEmbedder = DeepInfoMaxEmbedder.load(path)
        facts = model_facts(path, embedder.history_, embedder.state_.record.rows or 0)
        known = "left out, as the ids of its crystals say" if ids_file(file).is_file() else "not known"
        self.facts[name] = facts | {"given": file.name, "test fold": known}
        return path

    def vectors(self, name: str, task: StudyTask) -> NDArray[np.float32]:
        """Return the vectors (n, d) of one task's crystals; NaN for those that cannot be used."""
        return self.vectors_of(self.path(name), PRETRAININGS[name].preset, task)

    def vectors_of(self, path: Path, preset: str, task: StudyTask) -> NDArray[np.float32]:
        """Return the vectors (n, d) that a saved encoder gives one task's crystals."""
        from skdim.embedder import DeepInfoMaxEmbedder
        from skdim.network.threads import one_torch_thread

        embedder: DeepInfoMaxEmbedder = DeepInfoMaxEmbedder.load(path).set_params(device=self.device)
        with one_torch_thread():
            return embedder.transform(self.points_of(preset, task))
