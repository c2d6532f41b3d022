"""A training's state in, one safetensors file out, and back: weights, best weights, optimiser, history."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from skdim._parameters import as_json


@dataclass(frozen=True)
class TrainingState:
    """What a training needs to go on as if it had never stopped."""

    weights: dict[str, torch.Tensor]
    best_weights: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    best: float
    misses: int
    history: list[dict[str, float]]


def checkpoint_file(folder: Any, random_state: Any) -> str | None:
    """Return the file of the checkpoint in a folder, or None.

    Parameters
    ----------
    folder : str, path or None
        None where no checkpoint is wanted.
    random_state : object
        That of the training; only one that repeats can be continued.

    Returns
    -------
    str or None

    Raises
    ------
    ValueError
        If the folder is no path, or the training has no seed of its own.
    """
    if folder is None:
        return None
    if not isinstance(folder, str | os.PathLike):
        raise ValueError(f"checkpoint_dir={folder!r}; accepted are None and paths of folders.")
    if not isinstance(random_state, Integral):
        raise ValueError(
            f"random_state={random_state!r}; accepted with a checkpoint_dir are whole numbers, as a training with "
            "another seed is another training."
        )
    return str(Path(folder) / "checkpoint.safetensors")


def write_checkpoint(path: str, fingerprint: str, net: Any, keep: Any, history: list[dict[str, float]]) -> None:
    """Write the state of a skorch net and of its KeepBest callback; a file under that name is replaced at once."""
    optimizer = net.optimizer_.state_dict()
    tensors = {f"weights/{k}": v for k, v in net.module_.state_dict().items()}
    tensors |= {f"best/{k}": v for k, v in keep.weights_.items()}
    for index, slots in optimizer["state"].items():
        tensors |= {f"optimizer/{index}/{k}": torch.as_tensor(v) for k, v in slots.items()}
    header = {
        "fingerprint": fingerprint,
        "param_groups": optimizer["param_groups"],
        "best": keep.best_,
        "misses": keep.misses_,
        "history": history,
    }
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    draft = f"{path}.part"
    # Clones: safetensors refuses tensors that share memory, as current and best weights do after an improvement.
    save_file({k: v.detach().cpu().clone() for k, v in tensors.items()}, draft, {"skdim": as_json(header)})
    os.replace(draft, path)


def read_checkpoint(path: str, fingerprint: str) -> TrainingState:
    """Read what `write_checkpoint` wrote.

    Raises
    ------
    ValueError
        If the file is none of ours, or belongs to other data, another configuration or another seed.
    """
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})["skdim"])
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 - not a mapping
        known = header["fingerprint"]
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a checkpoint of skdim, or it is damaged: {error}") from error
    if known != fingerprint:
        raise ValueError(
            f"{path} was written by a training on other data, with other parameters or another random_state; "
            "remove it or choose another checkpoint_dir."
        )
    slots: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, index, slot = name.split("/")
            slots.setdefault(int(index), {})[slot] = value
    return TrainingState(
        weights=_part(tensors, "weights/"),
        best_weights=_part(tensors, "best/"),
        optimizer={"state": slots, "param_groups": header["param_groups"]},
        best=header["best"],
        misses=header["misses"],
        history=header["history"],
    )


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The tensors under a prefix."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
