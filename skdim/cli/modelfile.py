"""The file of a saved embedder in; what it is and how it came to be, as facts, text or JSON, out."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from skdim._files import file_digest

_OPERATION = ("cache_dir", "checkpoint_dir", "device", "n_jobs", "on_error", "verbose")


def facts_of(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what there is to know about a saved embedder.

    Parameters
    ----------
    path : str or path
        What ``DeepInfoMaxEmbedder.save`` or ``skdim pretrain`` wrote.

    Returns
    -------
    dict
        JSON-able: path, sha256, bytes, preset, parameters (of the embedder), changed (those that are not at their
        defaults), featurizer, model (its shape), data (rows that were read, and how many of them failed; None if
        the file does not say), epochs, best_epoch (a row of the history, or None), history, columns, versions.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is no saved embedder.
    """
    from skdim.embedder import DeepInfoMaxEmbedder

    embedder = DeepInfoMaxEmbedder.load(path)
    state, record = embedder.state_, embedder.state_.record
    parameters = dict(state.parameters)
    usual = DeepInfoMaxEmbedder().get_params(deep=False)
    history = [{k: v if math.isfinite(v) else None for k, v in row.items()} for row in embedder.history_]
    return {
        "path": os.fspath(path),
        "sha256": file_digest(path),
        "bytes": Path(path).stat().st_size,
        "preset": embedder.preset,
        "parameters": parameters,
        "changed": {name: value for name, value in parameters.items() if value != usual[name]},
        "featurizer": asdict(state.featurizer),
        "model": state.config.as_dict(),
        "data": None if record.rows is None else {"rows": record.rows, "failed": record.failed},
        "epochs": len(history),
        "best_epoch": min(history, key=_decisive_loss, default=None),
        "history": history,
        "columns": embedder.get_feature_names_out().tolist(),
        "versions": dict(record.versions),
    }


def _decisive_loss(row: Mapping[str, float | None]) -> float:
    """Return the loss that the best epoch was chosen by: the held-out one, or that of training where none is."""
    loss = row["train_loss"] if row["valid_loss"] is None else row["valid_loss"]
    return math.inf if loss is None else loss


def as_json(facts: Mapping[str, Any]) -> str:
    """Write facts as JSON.

    Parameters
    ----------
    facts : mapping
        What `facts_of` gives.

    Returns
    -------
    str
    """
    return json.dumps(facts, indent=2, allow_nan=False)


def as_text(facts: Mapping[str, Any]) -> str:
    """Write facts for people, one a line.

    Parameters
    ----------
    facts : mapping
        What `facts_of` gives.

    Returns
    -------
    str
    """
    columns = facts["columns"]
    encoder = facts["model"]["encoder"]
    lines = {
        "model": f"{facts['path']} ({facts['bytes'] / 1e6:.2f} MB)",
        "sha256": facts["sha256"],
        "preset": facts["preset"],
        "parameters": _pairs(facts["changed"]) or "the preset's",
        "featurizer": _pairs(facts["featurizer"]),
        "encoder": _pairs(encoder),
        "crystals": _data(facts["data"]),
        "epochs": _epochs(facts["epochs"], facts["best_epoch"]),
        "vector": f"{len(columns)} columns of float32: {', '.join(columns[:3])}{', ...' if len(columns) > 3 else ''}",
        "versions": ", ".join(f"{name} {version}" for name, version in facts["versions"].items()),
    }
    return "\n".join(f"{name:<11} {text}" for name, text in lines.items())


def _pairs(values: Mapping[str, Any]) -> str:
    """Write parameters as in a call, without those that the result does not depend on."""
    shown = {name: value for name, value in values.items() if value is not None and name not in _OPERATION}
    return ", ".join(f"{name}={value!r}" for name, value in shown.items())


def _data(data: Mapping[str, Any] | None) -> str:
    """Say what was learned from."""
    if data is None:
        return "not recorded"
    left_out = f" ({data['failed']} more could not be used)" if data["failed"] else ""
    return f"{data['rows'] - data['failed']}{left_out}"


def _epochs(n_epochs: int, best: Mapping[str, Any] | None) -> str:
    """Say how the training went."""
    if best is None:
        return "0: untrained"
    held_out = "" if best["valid_loss"] is None else f", held out {best['valid_loss']:.4f}"
    return f"{n_epochs}; weights of epoch {best['epoch']}: loss {best['train_loss']:.4f}{held_out}"
