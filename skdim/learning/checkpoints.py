"""Checkpoints: the state of a training in a safetensors file, from which it goes on as if it had never stopped."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, fields
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from skdim._fields import ANY, COUNT, TEXT, Schema, check_fields
from skdim._files import digest, replacing
from skdim._parameters import FOLDER, Accepted, as_json, check, integer, number
from skdim.exceptions import InputError
from skdim.learning.tensorfile import Arrays, Facts, digest_of, read_tensors, tensor_bytes, under

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.points.pointsets import PointSets


_PLAIN = ("first", "best", "misses", "history")
_HELD_OUT = Accepted("a number or NaN", lambda value: value != value or number().test(value))
_FACTS: Schema = {
    "kind": ANY,
    "fingerprint": TEXT,
    "param_groups": [{"lr": number(least=0), "peak?": number(least=0), "*": ANY}],
    "first": number(),
    "best": number(),
    "misses": COUNT,
    "history": [{"epoch": integer(1, 10**9), "train_loss": number(), "valid_loss": _HELD_OUT, "dur": number(least=0)}],
    "sha256": TEXT,
}


@dataclass(frozen=True)
class TrainingState:
    """What a training needs to go on as if it had never stopped."""

    weights: dict[str, torch.Tensor]  # of the last epoch
    best_weights: dict[str, torch.Tensor]  # of the epoch with the lowest watched loss
    optimizer: dict[str, Any]  # what the optimiser's ``state_dict`` gives
    first: float  # loss of the first step
    best: float  # lowest watched loss
    misses: int  # epochs since then
    history: list[dict[str, float]]  # one row for each epoch


@dataclass(frozen=True)
class Checkpoint:
    """The file of one training, and that of the epoch before it, which is used where the last one is damaged."""

    path: Path
    # Digest of data, configuration, initial weights and seed: only the same training goes on from the file.
    fingerprint: str

    def write(self, state: TrainingState) -> None:
        """Write a state; the file that was there is kept as the one before, once the new one is whole."""
        tensors = {f"weights/{k}": v for k, v in state.weights.items()}
        tensors |= {f"best/{k}": v for k, v in state.best_weights.items()}
        for index, slots in state.optimizer["state"].items():
            tensors |= {f"optimizer/{index}/{k}": torch.as_tensor(v) for k, v in slots.items()}
        facts = {
            "kind": "checkpoint",
            "fingerprint": self.fingerprint,
            "param_groups": state.optimizer["param_groups"],
            **{name: getattr(state, name) for name in _PLAIN},
        }
        content = tensor_bytes(facts, {name: value.detach().cpu().numpy() for name, value in tensors.items()})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as draft:
            draft.write_bytes(content)
            if self.path.exists():  # until the block ends there is the file before alone
                os.replace(self.path, self._previous)

    def read(self) -> TrainingState | None:
        """Read the last state that is whole; None where there is none yet.

        It is a ValueError if no file is whole, or if one belongs to other data, another configuration or another seed.
        """
        found = [path for path in (self.path, self._previous) if path.exists()]
        for place, path in enumerate(found):
            try:
                facts, arrays = _read(path)
                state, written_by = _state(facts, arrays), facts["fingerprint"]
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                if place == len(found) - 1:
                    raise InputError(
                        f"{path} is not a checkpoint of skdim, or it is damaged: {error}. Remove it, or choose another "
                        "checkpoint_dir, to train from the start."
                    ) from error
                warnings.warn(f"{path} is damaged ({error}): the epoch before it is used.", UserWarning, stacklevel=2)
                continue
            if written_by != self.fingerprint:
                raise InputError(
                    f"{path} was written by a training on other data, with other parameters or another random_state. "
                    "Remove it, or choose another checkpoint_dir."
                )
            return state
        return None

    @property
    def _previous(self) -> Path:
        """The file of the epoch before."""
        return self.path.with_name(f"{self.path.stem}.previous{self.path.suffix}")


def fingerprint(choices: Any, points: PointSets, *arrays: NDArray[Any]) -> str:
    """Digest of all that decides a training: choices and seed (JSON-able), the crystals, initial weights and labels."""
    columns = [getattr(points, f.name) for f in fields(points)] + [
        points.site_types.features,
        points.site_types.fractions,
    ]
    return digest(as_json(choices), *(column for column in columns if isinstance(column, np.ndarray)), *arrays)


def checkpoint_file(folder: Any, random_state: Any, name: str = "checkpoint") -> Path | None:
    """Return the file of a checkpoint in a folder, None without one; only a training with a seed can be continued."""
    check("checkpoint_dir", folder, FOLDER)
    if folder is None:
        return None
    if not isinstance(random_state, Integral):
        raise InputError(
            f"random_state must be an integer where checkpoint_dir is given, got {random_state!r}: a training with "
            "another seed is another training."
        )
    return Path(folder) / f"{name}.safetensors"


def _read(path: Path) -> tuple[Facts, Arrays]:
    """Facts and tensors of a file, if they are what was written."""
    if not path.is_file():  # opening a pipe would wait for someone to write
        raise ValueError("it is no regular file")
    facts, arrays = read_tensors(path)
    if facts.get("kind") != "checkpoint":
        raise ValueError("it is another kind of file")
    check_checkpoint(facts, arrays)
    return facts, arrays


def check_checkpoint(facts: Facts, arrays: Arrays) -> None:
    """Refuse facts and tensors that no training can have left."""
    if facts.get("sha256") != digest_of(facts, arrays):
        raise InputError("its digest does not fit its content")
    check_fields("", facts, _FACTS)
    for name, value in arrays.items():
        if not np.isfinite(value).all():
            raise InputError(f"tensor {name} must be finite, got NaN or infinity")


def _state(facts: Facts, arrays: Arrays) -> TrainingState:
    """The state that a file describes."""
    tensors = {name: torch.from_numpy(value) for name, value in arrays.items()}
    slots: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, index, slot = name.split("/")
            slots.setdefault(int(index), {})[slot] = value
    return TrainingState(
        weights=under("weights/", tensors),
        best_weights=under("best/", tensors),
        optimizer={"state": slots, "param_groups": facts["param_groups"]},
        **{name: facts[name] for name in _PLAIN},
    )
