"""What `skdim info` shows of a file: its kind, told by its content, its settings and its record, as text or JSON."""

from __future__ import annotations

import csv
import html
import json
import math
import os
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim._files import file_digest
from skdim.exceptions import InputError

if TYPE_CHECKING:
    from skdim.learning.states import TrainingRecord

Facts = dict[str, Any]
_OPERATION = ("cache_dir", "checkpoint_dir", "device", "n_jobs", "on_error", "verbose")
_MARK = re.compile(rb'(?:name="generator" content="|<!-- |Software\0)skdim (\d[\w.+-]*)')
_MARKED = 1024  # bytes in which it is, from the beginning or the end
_SHOWN = 6  # items of a list that the text shows


def facts_of(path: str | os.PathLike[str]) -> Facts:
    """Read what is known of a file that skdim wrote: a saved model, a checkpoint, point sets, vectors.

    The facts are JSON-able: ``kind``, ``path``, ``bytes``, ``sha256`` (of files), and what belongs to the kind. Any
    other file, or a damaged one, is an InputError.
    """
    place = Path(path)
    kind, read = _kind(place)
    try:
        facts = read(place)
    except (OSError, ValueError, KeyError, TypeError, csv.Error, zipfile.BadZipFile) as error:
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__} {error}"
        raise InputError(f"{os.fspath(path)!r} looks like {_article(kind)} and cannot be read: {reason}") from error
    files = [file for file in place.rglob("*") if file.is_file()] if place.is_dir() else [place]
    own = {} if place.is_dir() else {"sha256": file_digest(place)}
    size = sum(file.stat().st_size for file in files)
    return {"kind": kind, "path": os.fspath(path), "bytes": size, **own, **facts}


def _kind(path: Path) -> tuple[str, Callable[[Path], Facts]]:
    """Tell the kind of a file by its first bytes and its header, and what reads it."""
    if path.is_dir():
        if (path / "meta.json").is_file():
            return "folder of point sets", _point_sets
        if (path / "study.json").is_file():
            return "folder of a benchmark", _benchmark
        raise InputError(
            f"{os.fspath(path)!r} is a folder without meta.json, which point sets have, and without study.json, which "
            "benchmarks have."
        )
    if path.name == "study.json":
        return "settings of a benchmark", _settings
    with path.open("rb") as file:
        start = file.read(9)
    if _marks(path):
        return {b"<!DOCTYP": "page", b"\x89PNG\r\n\x1a\n": "picture"}.get(start[:8], "report"), _marked
    if start[:4] == b"PAR1":
        return ("table of vectors", _parquet) if _made_by(path) else ("table", _parquet_table)
    if path.suffix.lower() == ".csv":
        return "table", _csv_table
    if start[:6] == b"\x93NUMPY":
        return "table of vectors", _npy
    if start[:4] == b"PK\x03\x04":
        return "label-masking model", _masking
    if start[8:9] == b"{":
        return _tensors_kind(path)
    raise InputError(
        f"{os.fspath(path)!r} is not a file that skdim writes, or it is damaged. Known are saved models, checkpoints, "
        "folders of point sets and of benchmarks, vectors in Parquet and NPY, tables in Parquet and CSV, pages and "
        "pictures."
    )


def _tensors_kind(path: Path) -> tuple[str, Callable[[Path], Facts]]:
    """Tell the kind of a safetensors file by the facts in its header."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(os.fspath(path), "np") as file:
            metadata = file.metadata() or {}
        if "skdim.model" in metadata:
            return str(json.loads(metadata["skdim.model"])["kind"]) or "model", _predictor
        facts = json.loads(metadata["skdim"])
        kind = facts.get("kind") or ("regressor" if "regressor" in facts.get("extra", {}) else "embedder")
        known: dict[str, tuple[str, Callable[[Path], Facts]]] = {
            "embedder": ("embedder", _embedder),
            "regressor": ("fine-tuned regressor", partial(_fine_tuned, of_classes=False)),
            "classifier": ("fine-tuned classifier", partial(_fine_tuned, of_classes=True)),
            "checkpoint": ("checkpoint of a training", _checkpoint),
        }
        return known[kind]
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{os.fspath(path)!r} is a safetensors file that skdim did not write, or it is damaged: "
            f"{type(error).__name__} {error}"
        ) from error


def _article(noun: str) -> str:
    """Put "a" or "an" in front."""
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


def _embedder(path: Path) -> Facts:
    """Read a saved `DeepInfoMaxEmbedder`."""
    from skdim.embedder import DeepInfoMaxEmbedder

    embedder = DeepInfoMaxEmbedder.load(path)
    state = embedder.state_
    parameters = dict(state.parameters)
    return {
        "preset": embedder.preset,
        "parameters": parameters,
        "changed": _changed(parameters, DeepInfoMaxEmbedder().get_params(deep=False)),
        "featurizer": asdict(state.featurizer),
        "model": state.config.as_dict(),
        **_training(state.record),
        "columns": embedder.get_feature_names_out().tolist(),
    }


def _fine_tuned(path: Path, *, of_classes: bool) -> Facts:
    """Read a saved `SiteNetRegressor` or `SiteNetClassifier`."""
    from skdim.regressor import SiteNetRegressor
    from skdim.sitenet_classifier import SiteNetClassifier

    kind: Any = SiteNetClassifier if of_classes else SiteNetRegressor
    state = kind.load(path).state_
    parameters, scale = dict(state.parameters), state.target_scale
    targets = {"targets": {"mean": scale.center.tolist(), "deviation": scale.scale.tolist()}}
    return {
        "parameters": parameters,
        "changed": _changed(parameters, kind().get_params(deep=False)),
        "featurizer": asdict(state.start.featurizer),
        "model": state.start.config.as_dict(),
        "members": len(state.members),
        "strength": None if state.anchor is None else state.anchor.strength.tolist(),
        **({"classes": list(state.classes.names)} if of_classes else targets),
        **_training(state.record),
    }


def _checkpoint(path: Path) -> Facts:
    """Read a checkpoint, which is half a training."""
    from skdim.learning.checkpoints import check_checkpoint
    from skdim.learning.tensorfile import read_tensors

    facts, arrays = read_tensors(path)
    check_checkpoint(facts, arrays)
    history = _finite(facts["history"])
    best = min(history, key=_decisive_loss, default=None)
    return {"epochs": len(history), "best_epoch": best, "history": history, "fingerprint": facts["fingerprint"]}


def _predictor(path: Path) -> Facts:
    """Read what `skdim fit` wrote: a `CrystalRegressor` or `CrystalClassifier`."""
    from skdim._crystalpredictor import read_model
    from skdim.classifier import CrystalClassifier
    from skdim.predictor import CrystalRegressor

    header, arrays = read_model(path)
    # Whether it can be used is seen when it is built.
    (CrystalClassifier if header["kind"] == CrystalClassifier.__name__ else CrystalRegressor).load(path)
    told, names = _targets(header), header["facts"].get("names") or []
    targets = [{k: v for k, v in target.items() if k in ("name", "scale", "errors", "losses")} for target in told]
    if len(names) == len(targets) and names != [str(number) for number in range(len(names))]:  # those of a table
        targets = [{"target": name, **target} for name, target in zip(names, targets, strict=True)]
    own = {name: header["facts"][name] for name in ("classes", "chosen", "losses") if name in header["facts"]}
    return {
        "parameters": header["parameters"],
        **(own or {"targets": targets}),
        "labelled": len(arrays["labelled"]),
        "columns": arrays["vectors"].shape[1],
        "versions": header["versions"],
    }


def _targets(header: Facts) -> list[Facts]:
    """What a saved model says of each target."""
    targets = header["facts"].get("targets", [])
    return [target for target in targets if isinstance(target, dict)]


def _masking(path: Path) -> Facts:
    """Read the facts of a saved `LabelMaskingRegressor`; parts that are pickles or need trust are not opened."""
    from skdim._maskingfile import masking_facts

    facts = masking_facts(path)
    kept = ("format", "n_labels", "random_state", "frozen", "target_shape", "pickled", "parts")
    return {
        **{name: facts[name] for name in kept if name in facts},
        "labelled": len(facts["labelled"]),
        "versions": facts.get("versions", {"skdim": facts.get("skdim", "not recorded")}),
    }


def _point_sets(path: Path) -> Facts:
    """Read a folder of point sets, mapped rather than loaded."""
    from skdim.points.pointsets import PointSets

    points = PointSets.load(path, mmap_mode="r")
    return {
        "crystals": len(points),
        "failed": len(points) - int(points.valid.sum()),
        "site_rows": int(points.site_offsets[-1]),
        "pairs": int(points.pair_offsets[-1]),
        "site_features": list(points.feature_names),
        "interaction_features": list(points.interaction_names),
        "settings": dict(points.settings),
    }


def _made_by(path: Path) -> Facts:
    """Which model a table of vectors says it was made by; empty for other tables, and for what cannot be read."""
    from pyarrow import ArrowException, parquet

    try:
        metadata = parquet.read_schema(path).metadata or {}
        return dict(json.loads(metadata.get(b"skdim", b"{}")))
    except (ArrowException, OSError, TypeError, ValueError):
        return {}


def _parquet(path: Path) -> Facts:
    """Read what a table of vectors says of itself."""
    table = _parquet_table(path)
    columns = [name for name in table["names"] if name != "id"]
    return {"rows": table["rows"], "columns": columns, "made_by": _made_by(path)}


def _parquet_table(path: Path) -> Facts:
    """Read the size of a table, such as one of predictions."""
    from pyarrow import parquet

    file = parquet.ParquetFile(path)
    return {"rows": file.metadata.num_rows, "names": list(file.schema_arrow.names)}


def _csv_table(path: Path) -> Facts:
    """Read the size of a table, such as one of predictions."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        names = next(rows, [])
        return {"rows": sum(1 for _ in rows), "names": names}


def _npy(path: Path) -> Facts:
    """Read the shape of an array, and how many ids are beside it."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    ids = path.with_suffix(".ids.csv")
    n_ids = max(len(ids.read_text("utf-8").splitlines()) - 1, 0) if ids.is_file() else None
    return {"rows": array.shape[0], "shape": list(array.shape), "dtype": str(array.dtype), "ids": n_ids}


def _marks(path: Path) -> list[str]:
    """Versions by which a page, a picture or a report says it was written, near its beginning or at its end."""
    with path.open("rb") as file:
        begin = file.read(_MARKED)
        file.seek(-min(path.stat().st_size, _MARKED), os.SEEK_END)
        end = file.read()
    found = _MARK.search(begin) or _MARK.search(end)
    return [found[1].decode()] if found else []


def _marked(path: Path) -> Facts:
    """Read what a page, a picture or a report says of itself."""
    title = re.search(rb"<title>(.*?)</title>|^#+ (.*)$", path.read_bytes(), re.MULTILINE)
    own = {} if title is None else {"title": html.unescape((title[1] or title[2]).decode("utf-8", "replace"))}
    return {**own, "versions": {"skdim": _marks(path)[0]}}


def _benchmark(path: Path) -> Facts:
    """Read the settings of a benchmark, and count its records."""
    records = path / "results.parquet"
    return {**_settings(path / "study.json"), "records": _parquet_table(records)["rows"] if records.is_file() else 0}


def _settings(path: Path) -> Facts:
    """Read the settings of a benchmark."""
    study = json.loads(path.read_text(encoding="utf-8"))
    kept = ("command", "finished", "seed", "baseline", "versions")
    settings = {"tasks": list(study["tasks"]), "features": list(study["settings"]["features"])}
    return {**{name: study[name] for name in kept}, **settings}


def _training(record: TrainingRecord) -> Facts:
    """What a record says of a training."""
    history = _finite(record.history)
    return {
        "data": None if record.rows is None else {"rows": record.rows, "failed": record.failed},
        "epochs": len(history),
        "best_epoch": min(history, key=_decisive_loss, default=None),
        "history": history,
        "versions": dict(record.versions),
    }


def _finite(value: Any) -> Any:
    """The same facts with None in place of numbers that JSON has not."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(own) for name, own in value.items()}
    return [_finite(own) for own in value] if isinstance(value, list | tuple) else value


def _changed(parameters: Mapping[str, Any], usual: Mapping[str, Any]) -> Facts:
    """Parameters that are not at their defaults."""
    return {name: value for name, value in parameters.items() if name not in usual or value != usual[name]}


def _decisive_loss(row: Mapping[str, float | None]) -> float:
    """Return the loss that the best epoch was chosen by: the held-out one, or that of training where none is."""
    loss = row["train_loss"] if row["valid_loss"] is None else row["valid_loss"]
    return math.inf if loss is None else loss


def as_json(facts: Mapping[str, Any]) -> str:
    """Write facts as JSON, which has null in place of NaN and infinity."""
    return json.dumps(_finite(facts), indent=2, allow_nan=False)


def as_text(facts: Mapping[str, Any]) -> str:
    """Write facts for people, one a line."""
    lines = {"file": f"{facts['path']} ({_size(facts['bytes'])})", "kind": facts["kind"]}
    for name, value in facts.items():
        if name in _LINES:
            title, shown = _LINES[name]
            lines[title] = shown(facts)
        elif name not in ("kind", "path", "bytes", "parameters", "best_epoch", "history", "losses"):
            lines[name.replace("_", " ")] = _plain(value)
    if "changed" not in facts and "parameters" in facts:
        lines["parameters"] = _pairs(facts["parameters"])
    width = max(map(len, lines)) + 1
    return "\n".join(f"{name:<{width}} {text}" for name, text in lines.items())


_LINES: dict[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "changed": ("parameters", lambda facts: _pairs(facts["changed"]) or "the preset's"),
    "featurizer": ("featurizer", lambda facts: _pairs(facts["featurizer"])),
    "model": ("encoder", lambda facts: _encoder(facts["model"])),
    "data": ("crystals", lambda facts: _data(facts["data"])),
    "epochs": ("epochs", lambda facts: _epochs(facts["epochs"], facts["best_epoch"])),
    "columns": ("vector", lambda facts: _columns(facts["columns"])),
    "targets": ("targets", lambda facts: _learned(facts["targets"])),
    "chosen": ("chosen", lambda facts: f"{facts['chosen']}, by log losses of {_ranked(facts['losses'])}"),
    "versions": ("versions", lambda facts: ", ".join(f"{k} {v}" for k, v in facts["versions"].items())),
}


def _encoder(config: Mapping[str, Any]) -> str:
    """Describe the encoder, and the layer over the whole crystal where there is one."""
    shape, width, told = _pairs(config["encoder"]), config["property_width"], len(config["property_names"])
    if not width:
        return shape
    told_of = f", of which {told} are read" if told else ""
    return f"{shape}; a layer of {width} columns that has learned properties{told_of}"


def _learned(targets: Any) -> str:
    """Say of each target of a `CrystalRegressor` which regressor was chosen, and the errors of all, lowest first."""
    if not (isinstance(targets, list) and all("errors" in target for target in targets)):
        return _plain(targets)
    from skdim._targetmodel import UNITS

    said = []
    for target in targets:
        kind = target["scale"][0]
        known = kind == "none" or "losses" in target  # the errors by which it was chosen
        errors = target["losses" if known and kind != "none" else "errors"]
        by = "chosen by errors of" if known else "errors in the unit of the labels"
        on = "" if kind == "none" else f" on the scale {kind}"
        of = f"{target['target']}: " if "target" in target else ""
        said.append(f"{of}{target['name']}{on}, {by} {_ranked(errors)} {UNITS[kind] * known}".rstrip())
    return "; ".join(said)


def _ranked(errors: Mapping[str, float]) -> str:
    """Write the errors of regressors and of a guess, lowest first."""
    ranked = sorted(errors.items(), key=itemgetter(1))
    return _plain({"guess" if name in ("median", "shares") else name: error for name, error in ranked})


def _columns(columns: list[str] | int) -> str:
    """Say how many columns a vector has, and begin with their names where they are known."""
    if isinstance(columns, int):
        return f"{columns} columns"
    return f"{len(columns)} columns of float32: {', '.join(columns[:3])}{', ...' if len(columns) > 3 else ''}"


def _plain(value: Any) -> str:
    """Write a value: of a long list the first items and how many there are."""
    if isinstance(value, list) and len(value) > _SHOWN:
        return f"{len(value)}: {', '.join(map(_plain, value[:3]))}, ..."
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items())
    if isinstance(value, float):
        return f"{value:.4g}" if 1e-4 <= abs(value) < 1e6 or not value else f"{value:g}"
    return str(value)


def _size(n: int) -> str:
    """Write a number of bytes."""
    return f"{n / 1e6:.2f} MB" if n >= 10_000 else f"{n:,} bytes"


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
