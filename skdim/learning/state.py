"""What pretraining has learned, as numpy arrays and JSON: built from a model, made a model, written and read."""

from __future__ import annotations

import json
import math
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

import skdim
from skdim._parameters import as_json
from skdim.network.config import ModelConfig
from skdim.network.model import CrystalModel, SiteStatistics
from skdim.points.sitetypes import N_ATOMIC_NUMBERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FORMAT = 3


@dataclass(frozen=True)
class EmbedderState:
    """A trained model and the scale of its vectors.

    Attributes
    ----------
    config : ModelConfig
        Shape of the model.
    weights : dict of ndarray
        Its weights and buffers by name.
    center, scale : ndarray of shape (D,)
        Mean and standard deviation of each column over the pretraining set.
    columns : tuple of str
        Names of the D columns.
    settings : dict
        Settings of the point sets it was trained on.
    components, offset : ndarray of shape (d, D) and (d,), or None
        Principal axes the standardised columns are projected on, where a shorter vector was asked for, and the
        projection of their mean.
    extra : dict
        JSON-able facts that travel along: parameters, history, versions.
    """

    config: ModelConfig
    weights: dict[str, NDArray[Any]]
    center: NDArray[np.float32]
    scale: NDArray[np.float32]
    columns: tuple[str, ...]
    settings: dict[str, Any]
    components: NDArray[np.float32] | None = None
    offset: NDArray[np.float32] | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def model(self, device: str | torch.device = "cpu") -> CrystalModel:
        """Build the model, ready to embed."""
        weights = {k: torch.from_numpy(np.array(v)) for k, v in self.weights.items()}
        # Initial values are overwritten at once, so whatever they are, the global generator stays as it was.
        with torch.random.fork_rng(devices=[]):
            model = CrystalModel(
                self.config,
                SiteStatistics(weights["feature_mean"], weights["feature_scale"], torch.ones(N_ATOMIC_NUMBERS)),
            )
        model.load_state_dict(weights)
        return model.to(device).eval()


def weights_of(model: CrystalModel) -> dict[str, NDArray[Any]]:
    """Copy the weights and buffers of a model to numpy."""
    return {k: v.detach().cpu().numpy().copy() for k, v in model.state_dict().items()}


def write_state(path: str | os.PathLike[str], state: EmbedderState) -> None:
    """Write one safetensors file at exactly this path: arrays, and JSON in the header.

    Raises
    ------
    OSError
        If the path is a folder, or lies in one that is not there.
    """
    check_target(path)
    arrays = {f"weights/{k}": v for k, v in state.weights.items()}
    arrays |= {"center": state.center, "scale": state.scale}
    if state.components is not None and state.offset is not None:
        arrays |= {"components": state.components, "offset": state.offset}
    header = {
        "format": _FORMAT,
        "config": state.config.as_dict(),
        "columns": list(state.columns),
        "settings": state.settings,
        "extra": {**state.extra, "history": _without_nan(state.extra.get("history", []))},
        "versions": {"skdim": skdim.__version__, "torch": torch.__version__, "python": platform.python_version()},
    }
    # A draft of its own: processes that were launched together may all write the model they share.
    draft = Path(f"{os.fspath(path)}.{os.getpid()}.part")
    # Written as bytes: the library's own writer gives the file to its owner alone, whatever the umask says.
    draft.write_bytes(save({k: np.ascontiguousarray(v) for k, v in arrays.items()}, {"skdim": as_json(header)}))
    os.replace(draft, path)


def check_target(path: str | os.PathLike[str]) -> None:
    """Refuse a path that no file can be written to, by the name that was given."""
    folder = Path(path).parent
    if Path(path).is_dir():
        raise IsADirectoryError(f"{os.fspath(path)!r} is a folder; accepted is the path of a file to write.")
    if not folder.is_dir():
        raise FileNotFoundError(f"{os.fspath(path)!r} cannot be written: there is no folder {os.fspath(folder)!r}.")


def _without_nan(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The history with null, which JSON has, in place of NaN, which it has not."""
    return [{k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()} for row in history]


def read_state(path: str | os.PathLike[str]) -> EmbedderState:
    """Read what `write_state` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no embedder, is damaged, or has another format.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{os.fspath(path)!r} is not a file; accepted is what DeepInfoMaxEmbedder.save wrote.")
    try:
        with safe_open(path, "np") as file:
            header = json.loads((file.metadata() or {})["skdim"])
            arrays = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 - not a mapping
        _check_format(header["format"], header["versions"]["skdim"], path)
        return _state(header, arrays)
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{os.fspath(path)!r} is not an embedder saved by skdim, or it is damaged: {type(error).__name__} {error}"
        ) from error


def _check_format(version: int, writer: str, path: str | os.PathLike[str]) -> None:
    """Refuse files of other formats: the same weights would mean another network."""
    if version != _FORMAT:
        raise ValueError(
            f"{os.fspath(path)!r} has format {version} (skdim {writer}); this version of skdim, {skdim.__version__}, "
            f"reads format {_FORMAT}. An embedder of another format has to be trained again."
        )


def _state(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> EmbedderState:
    """The state that a header and arrays describe."""
    history = [{k: math.nan if v is None else v for k, v in row.items()} for row in header["extra"]["history"]]
    return EmbedderState(
        config=ModelConfig.from_dict(header["config"]),
        weights={k.removeprefix("weights/"): v for k, v in arrays.items() if k.startswith("weights/")},
        center=arrays["center"],
        scale=arrays["scale"],
        columns=tuple(header["columns"]),
        settings=header["settings"],
        components=arrays.get("components"),
        offset=arrays.get("offset"),
        extra={**header["extra"], "history": history, "versions": header["versions"]},
    )
