"""The file of a fitted embedder or fine-tuned regressor: the one place that knows how it is laid out.

A file is safetensors: arrays, and JSON in the header. It holds no pickle, names nothing that would be imported, and its
digest is checked before anything is built from it. Files of earlier formats are read through `_UPGRADES`, one step for
each format; what they lacked is checked all the same.

Format 5, tensors: ``weights/...``, ``center``, ``scale`` and perhaps ``components``, ``offset`` and ``seen/...`` of the
encoder; of a regressor or classifier also ``members/0/encoder/...`` and ``members/0/head/...`` for each member, and
perhaps ``anchor/...``. Facts: see `_header`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

import skdim
from skdim._fields import ANY, CLASSES, COUNT, FLAG, RECORD, TEXT, OrNone, Schema, check_fields
from skdim._parameters import as_json, choice, number, shown
from skdim.exceptions import InputError, ModelFileError, shortened
from skdim.learning.seen import Seen
from skdim.learning.statechecks import check_state
from skdim.learning.states import (
    RUN_TIME,
    Anchor,
    Classes,
    EmbedderState,
    Epoch,
    FeaturizerSettings,
    Member,
    RegressorState,
    Ridge,
    TargetScale,
    TrainingRecord,
    Weights,
    plain_parameters,
)
from skdim.learning.tensorfile import Arrays, Facts, digest_of, read_tensors, tensor_bytes, under, write_tensors
from skdim.network.config import ModelConfig

FORMAT = 5
_FIRST_WITH_DIGEST = 4


def write_state(path: str | os.PathLike[str], state: EmbedderState | RegressorState) -> None:
    """Write a state to one file at exactly this path; one that `read_state` would refuse is a ModelFileError."""
    write_tensors(path, *_content(state))


def saved_bytes(estimator: Any) -> bytes:
    """The content of the file that a fitted embedder, or an estimator that fine-tunes, would save."""
    state = replace(estimator.state_, parameters=plain_parameters(estimator))
    return tensor_bytes(*_content(state))


def read_state(source: str | os.PathLike[str] | bytes) -> EmbedderState | RegressorState:
    """Read what `write_state` wrote, in this format or an earlier one, or what `saved_bytes` gave.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If the file is none of these, is damaged or has a later format; the message names the field.
    """
    name = source_name(source)
    if not isinstance(source, bytes) and not Path(source).is_file():
        raise FileNotFoundError(
            f"{name} is not a file; the path of what DeepInfoMaxEmbedder.save or SiteNetRegressor.save wrote is needed."
        )
    try:
        header, arrays = read_tensors(source)
        header, arrays = _current(header, arrays)
        state = _state(header, arrays)
        check_state(state)
    except InputError as error:
        raise ModelFileError(f"{name}: {shortened(error)}") from error
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        # What a header that is not ours, or no longer ours, leads to.
        raise ModelFileError(
            f"{name} is not a model saved by skdim, or it is damaged: {type(error).__name__} {shortened(error)}"
        ) from error
    return state


def source_name(source: str | os.PathLike[str] | bytes) -> str:
    """What messages call a file, or the content of one that is part of another file."""
    return "the model in it" if isinstance(source, bytes) else repr(os.fspath(source))


@contextmanager
def parameters_of(source: str | os.PathLike[str] | bytes) -> Iterator[None]:
    """Turn the error of an estimator that does not accept its parameters into one that names their file."""
    try:
        yield
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise ModelFileError(f"{source_name(source)}: parameters: {shortened(error)}") from error


def read_embedder_state(source: str | os.PathLike[str] | bytes) -> EmbedderState:
    """Read the state of an embedder; see `read_state`."""
    state = read_state(source)
    if isinstance(state, RegressorState):
        other = "SiteNetRegressor" if state.classes is None else "SiteNetClassifier"
        raise ModelFileError(f"{source_name(source)} is a saved {other}; {other}.load reads it.")
    return state


def _content(state: EmbedderState | RegressorState) -> tuple[Facts, Arrays]:
    """Header and tensors of a state's file, which have gone through the checks that they are read with."""
    header, arrays = json.loads(as_json(_header(state))), _arrays(state)
    try:
        check_state(_state(header, arrays))
    except ModelFileError as error:
        raise ModelFileError(f"this model cannot be saved, as it could not be loaded again: {error}") from error
    return header, arrays


def _header(state: EmbedderState | RegressorState) -> Facts:
    """What the header of a state's file says, but for the digest."""
    start = state.start if isinstance(state, RegressorState) else state
    if not isinstance(start.featurizer.site_features, str | list | tuple):
        raise InputError(
            f"site_features={start.featurizer.site_features!r} is an object, which only pickle could keep: save cannot."
        )
    header: Facts = {
        "format": FORMAT,
        "kind": _kind(state),
        "skdim": skdim.__version__,
        "config": start.config.as_dict(),
        "columns": list(start.columns),
        "settings": dict(start.settings),
        "featurizer": asdict(start.featurizer),
        "parameters": dict(start.parameters),
        "record": _record_as_json(start.record),
    }
    if start.seen is not None:
        header["seen"] = {name: getattr(start.seen, name) for name in _SEEN_NUMBERS}
    if isinstance(state, RegressorState):
        scale = state.target_scale
        header["regressor"] = {
            "parameters": dict(state.parameters),
            "record": _record_as_json(state.record),
            "head_width": state.head_width,
            "members": len(state.members),
            "penalty": None if state.anchor is None else state.anchor.ridge.penalty,
            "targets": {"center": scale.center.tolist(), "scale": scale.scale.tolist(), "single": scale.single},
        }
        if state.classes is not None:
            values = {name: getattr(state.classes, name).tolist() for name in _OF_CLASSES}
            header["regressor"]["classes"] = {"names": list(state.classes.names), **values}
    return header


def _kind(state: EmbedderState | RegressorState) -> str:
    """The kind of a state's file."""
    if isinstance(state, EmbedderState):
        return "embedder"
    return "regressor" if state.classes is None else "classifier"


def _arrays(state: EmbedderState | RegressorState) -> Arrays:
    """The tensors of a state's file."""
    start = state.start if isinstance(state, RegressorState) else state
    arrays = {"center": start.center, "scale": start.scale, **_named("weights/", start.weights)}
    if start.components is not None and start.offset is not None:
        arrays |= {"components": start.components, "offset": start.offset}
    if start.seen is not None:
        arrays |= {f"seen/{name}": getattr(start.seen, name) for name in _SEEN_ARRAYS}
    if isinstance(state, RegressorState):
        if state.anchor is not None:
            ridge = state.anchor.ridge
            arrays |= {f"anchor/{name}": getattr(ridge, name) for name in _RIDGE}
            arrays |= {"anchor/strength": state.anchor.strength, "anchor/noise": state.anchor.noise}
        for number, member in enumerate(state.members):
            arrays |= _named(f"members/{number}/encoder/", member.encoder)
            arrays |= _named(f"members/{number}/head/", member.head)
    return arrays


def _state(header: Facts, arrays: Arrays) -> EmbedderState | RegressorState:
    """The state that a header and tensors of the current format describe."""
    check_fields("", header, _HEADER)
    start = EmbedderState(
        config=ModelConfig.from_dict(header["config"]),
        weights=under("weights/", arrays),
        center=arrays["center"],
        scale=arrays["scale"],
        columns=tuple(header["columns"]),
        settings=header["settings"],
        featurizer=FeaturizerSettings.of_json(header["featurizer"]),
        components=arrays.get("components"),
        offset=arrays.get("offset"),
        parameters=header["parameters"],
        record=_record_of_json(header["record"]),
        seen=_seen(header, arrays),
    )
    known = {"center", "scale", "components", "offset", *(f"seen/{name}" for name in _SEEN_ARRAYS if start.seen)}
    of_regressor = ("members/", "anchor/")
    surplus = {name for name in arrays if name not in known and not name.startswith(("weights/", *of_regressor))}
    if header["kind"] == "embedder":
        if "regressor" in header:
            raise ModelFileError("regressor is no field of the file of an embedder.")
        _refuse_surplus(surplus | {name for name in arrays if name.startswith(of_regressor)})
        return start
    of_classes = header["kind"] == "classifier"
    facts: Facts = header.get("regressor", {})
    check_fields("regressor", facts, {**_REGRESSOR, "classes": _CLASSES} if of_classes else _REGRESSOR)
    n_members, targets = facts["members"], facts["targets"]
    prefixes = tuple(f"members/{k}/{part}/" for k in range(min(n_members, len(arrays))) for part in ("encoder", "head"))
    _refuse_surplus(surplus | {n for n in arrays if n.startswith("members/") and not n.startswith(prefixes)})
    return RegressorState(
        start=start,
        anchor=_anchor(under("anchor/", arrays), facts["penalty"]),
        members=tuple(Member(*(under(p, arrays) for p in prefixes[k : k + 2])) for k in range(0, len(prefixes), 2)),
        target_scale=TargetScale(np.array(targets["center"]), np.array(targets["scale"]), targets["single"]),
        head_width=facts["head_width"],
        parameters=facts["parameters"],
        record=_record_of_json(facts["record"]),
        classes=_classes(facts["classes"]) if of_classes else None,
    )


def _classes(facts: Mapping[str, Any]) -> Classes:
    """The classes of a classifier."""
    return Classes(tuple(facts["names"]), *(np.array(facts[name], dtype=np.float64) for name in _OF_CLASSES))


def _anchor(arrays: Arrays, penalty: Any) -> Anchor | None:
    """The anchor of a regressor, if it has one."""
    _refuse_surplus(arrays.keys() - {*_RIDGE, "strength", "noise"} if penalty is not None else arrays.keys())
    if penalty is None:
        return None
    _refuse_missing("anchor", {*_RIDGE, "strength", "noise"} - arrays.keys())
    ridge = Ridge(**{name: arrays[name] for name in _RIDGE}, penalty=penalty)
    return Anchor(ridge, arrays["strength"], arrays["noise"])


def _seen(header: Facts, arrays: Arrays) -> Seen | None:
    """What the pretraining has seen; files that were written before this was kept do not say."""
    if "seen" not in header:
        return None
    own = under("seen/", arrays)
    _refuse_missing("seen", set(_SEEN_ARRAYS) - own.keys())
    facts: dict[str, Any] = {**header["seen"], **own}
    return Seen(**facts)


def _refuse_missing(part: str, names: Iterable[str]) -> None:
    """Refuse a part of which tensors are missing."""
    if names := sorted(names):
        raise ModelFileError(f"tensor {part}/{names[0]} is missing.")


def _refuse_surplus(names: Iterable[str]) -> None:
    """Refuse tensors that belong to nothing."""
    if names := sorted(names):
        raise ModelFileError(f"tensor {names[0]!r} belongs to no part of the model.")


def _named(prefix: str, weights: Weights) -> Arrays:
    """Weights under names with a prefix."""
    return {prefix + name: value for name, value in weights.items()}


def _record_as_json(record: TrainingRecord) -> dict[str, Any]:
    """A record with null, which JSON has, in place of NaN, which it has not."""
    history = [{k: None if isinstance(v, float) and math.isnan(v) else v for k, v in e.items()} for e in record.history]
    return {**asdict(record), "history": history}


def _record_of_json(values: Mapping[str, Any]) -> TrainingRecord:
    """The record that `_record_as_json` wrote."""
    history: tuple[Epoch, ...] = tuple(
        {k: math.nan if v is None else v if k in ("epoch", "member") else float(v) for k, v in epoch.items()}
        for epoch in values["history"]
    )
    return TrainingRecord(**{**values, "history": history})


def _current(header: Facts, arrays: Arrays) -> tuple[Facts, Arrays]:
    """Check what a file says of itself, and bring it to the current format."""
    version, writer = header["format"], header.get("skdim") or header.get("versions", {}).get("skdim")
    accepted = choice(*_UPGRADES, FORMAT)
    if not accepted.test(version):
        raise ModelFileError(
            f"format must be {accepted.words}, got {shown(version)} (skdim {str(writer)[:40]}). This is "
            f"skdim {skdim.__version__}: a later one may read it; a model of an earlier format has to be trained again."
        )
    if version >= _FIRST_WITH_DIGEST and header["sha256"] != digest_of(header, arrays):
        raise ModelFileError("sha256 does not fit the content: the file is damaged or was changed.")
    while header["format"] != FORMAT:
        header, arrays = _UPGRADES[header["format"]](header, arrays)
    return header, arrays


def _from_3(header: Facts, arrays: Arrays) -> tuple[Facts, Arrays]:
    """Bring format 3 to format 4.

    Facts that travelled in ``extra`` get places of their own, a regressor's start is laid out like an embedder, the
    two-level objective is called so, the depth of an encoder's layers is the name of its block, and choices of how and
    where to run are left behind.
    """
    extra, versions = header["extra"], header["versions"]
    start = extra.get("embedder", extra)
    data = start.get("data") or {"rows": None, "failed": None}
    settings = {f.name: start["featurizer"][f.name] for f in fields(FeaturizerSettings)}
    upgraded: Facts = {
        **{name: header[name] for name in ("columns", "settings")},
        "config": {k: _encoder_from_3(v) if k.endswith("encoder") else v for k, v in header["config"].items()},
        "format": 4,
        "kind": "regressor" if "regressor" in extra else "embedder",
        "skdim": versions["skdim"],
        "featurizer": settings,
        "parameters": _without_run_time_choices(start["parameters"]),
        "record": {"history": start["history"], "versions": versions, "rows": data["rows"], "failed": data["failed"]},
    }
    if "regressor" in extra:
        facts = extra["regressor"]
        upgraded["regressor"] = {
            "parameters": _without_run_time_choices(extra["parameters"]),
            "record": {"history": extra["history"], "versions": versions, "rows": None, "failed": None},
            "head_width": facts["head_width"],
            "members": facts["n_ensemble"],
            "targets": {name: facts[name] for name in ("center", "scale", "single")},
        }
    return upgraded, {_name_from_3(name, "regressor" in extra): value for name, value in arrays.items()}


def _encoder_from_3(encoder: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The configuration of an encoder of format 3 in format 4."""
    if encoder is None:
        return None
    block = {1: "separable", 2: "sitenet"}[encoder["depth"]]
    return {**{name: value for name, value in encoder.items() if name != "depth"}, "block": block}


def _from_4(header: Facts, arrays: Arrays) -> tuple[Facts, Arrays]:
    """Bring format 4 to format 5: the predictions of a regressor were those of its members alone."""
    upgraded = {**header, "format": 5}
    if header["kind"] == "regressor":
        facts = header["regressor"]
        upgraded["regressor"] = {**facts, "parameters": {**facts["parameters"], "cv": None}, "penalty": None}
    return upgraded, arrays


def _name_from_3(name: str, of_regressor: bool) -> str:
    """The name of a tensor of format 3 in format 4."""
    group, _, rest = name.partition("/")
    if group != "weights":
        return name
    if of_regressor:
        part, _, rest = rest.partition("/")
        if part != "start":
            group = f"members/{part}/encoder" if rest.startswith("model.") else f"members/{part}/head"
            rest = rest.removeprefix("model.")
    return f"{group}/{rest.replace('published.', 'two_level.', 1) if rest.startswith('published.') else rest}"


def _without_run_time_choices(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of an estimator, and of a featurizer among them, without those that are about one machine or run."""
    kept = {name: value for name, value in parameters.items() if name not in RUN_TIME}
    if isinstance(kept.get("featurizer"), Mapping):
        kept["featurizer"] = {f.name: kept["featurizer"][f.name] for f in fields(FeaturizerSettings)}
    return kept


_KINDS = ("embedder", "regressor", "classifier")
_SEEN_NUMBERS = ("crystals", "sites", "disordered")
_SEEN_ARRAYS = ("elements", "axes", "places", "spacing")

_OF_CLASSES = ("shares", "slopes", "offsets")
# What a header of the current format holds. Values that a constructor looks at are left to it.
_NUMBERS: Schema = [number()]
_OPEN: Schema = {"*": ANY}
_CLASSES: Schema = {"names": CLASSES, "shares": _NUMBERS, "slopes": [_NUMBERS], "offsets": _NUMBERS}
_REGRESSOR: dict[str, Schema] = {
    "parameters": _OPEN,
    "record": RECORD,
    "head_width": COUNT,
    "members": COUNT,
    "penalty": ANY,
    "targets": {"center": _NUMBERS, "scale": _NUMBERS, "single": FLAG},
}
_HEADER: Schema = {
    "format": ANY,
    "kind": choice(*_KINDS),
    "skdim": TEXT,
    "config": {
        **{name: [TEXT] for name in ("feature_names", "interaction_names", "negatives", "property_names?")},
        "encoder": _OPEN,
        "context_encoder": OrNone(_OPEN),
        "objective": _OPEN,
        "*": ANY,
    },
    "columns": [TEXT],
    "settings": _OPEN,
    "featurizer": {**{field.name: ANY for field in fields(FeaturizerSettings)}, "interaction_features": [TEXT]},
    "parameters": _OPEN,
    "record": RECORD,
    "seen?": dict.fromkeys(_SEEN_NUMBERS, COUNT),
    "regressor?": ANY,
    "sha256?": TEXT,
}
_RIDGE = ("weight", "bias", "center", "factor")
_UPGRADES: dict[int, Callable[[Facts, Arrays], tuple[Facts, Arrays]]] = {3: _from_3, 4: _from_4}
