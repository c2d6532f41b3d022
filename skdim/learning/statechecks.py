"""Whether a state that was read from a file is whole: every value and tensor is looked at before a model is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim._parameters import integer, number, optional, shown
from skdim.exceptions import ModelFileError
from skdim.learning.regression import RegressionHead
from skdim.learning.seeding import without_drawing
from skdim.learning.seen import N_QUANTILES, Seen
from skdim.learning.states import (
    RUN_TIME,
    Anchor,
    Classes,
    EmbedderState,
    RegressorState,
    TrainingRecord,
    Weights,
    bare_model,
)
from skdim.network.readout import column_names
from skdim.points.sitetypes import N_ATOMIC_NUMBERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WIDEST = 16_384  # most units of a layer
_DEEPEST = 64  # most blocks of an encoder
_LARGEST = 1e12  # of weights; training leaves them below a hundred, and products of larger ones are no numbers
# What no crystal has that can be read within the limits of reading, nor any neighbourhood that is learned from.
_MOST_OF_FEATURIZER = {"n_neighbors": 10_000, "supercell_size": 10_000, "max_sites": 1_000_000}
# Statistics of site features, which may have units in which they are huge.
_OF_FEATURES = ("feature_mean", "feature_scale")


def check_state(state: EmbedderState | RegressorState) -> None:
    """Refuse a state that no `fit` can have left; a ModelFileError names the first field that cannot be used."""
    start = state.start if isinstance(state, RegressorState) else state
    _check_sizes(start)
    shapes = _shapes_of_model(start)
    _check_tensors("weights", start.weights, shapes)
    _check_scales("weights", start.weights)
    _check_vectors(start)
    _check_facts(start)
    if start.seen is not None:
        _check_seen(start.seen, len(start.columns))
    if isinstance(state, RegressorState):
        _check_regressor(state, shapes)


def _need(fits: bool, name: str, wanted: str, got: Any) -> None:
    """Refuse what does not fit."""
    if not fits:
        raise ModelFileError(f"{name} must be {wanted}, got {shown(got)}.")


def _check_sizes(state: EmbedderState) -> None:
    """Refuse models larger than their tensors, before one is built."""
    config = state.config
    for name, size in (("local_dim", config.local_dim), ("global_dim", config.global_dim)):
        _need_integer(f"config.{name}", size, 1, _WIDEST)
    _need_integer("config.property_width", config.property_width, 0, _WIDEST)
    for name, encoder in (("encoder", config.encoder), ("context_encoder", config.context_encoder)):
        if encoder is not None:
            _need_integer(f"config.{name}.width", encoder.width, 1, _WIDEST)
            _need_integer(f"config.{name}.heads", encoder.heads, 1, _WIDEST)
            _need_integer(f"config.{name}.blocks", encoder.blocks, 1, _DEEPEST)
            _need_integer(f"config.{name}.hops", encoder.hops, 0, _DEEPEST)
            _need_integer(f"config.{name}.hop_width", encoder.hop_width, 1, _WIDEST)
    for name, names in (("feature_names", config.feature_names), ("interaction_names", config.interaction_names)):
        _need(0 < len(names) <= _WIDEST and _are_distinct_texts(names), f"config.{name}", "distinct names", names)
    told = config.property_names
    _need(len(told) <= _WIDEST and _are_distinct_texts(told), "config.property_names", "distinct names", told)


def _need_integer(name: str, value: Any, least: int, most: int) -> None:
    """Refuse what is no integer within bounds."""
    accepted = integer(least, most)
    _need(accepted.test(value), name, accepted.words, value)


def _are_distinct_texts(names: Sequence[Any]) -> bool:
    """Whether all are text and no two the same."""
    return all(isinstance(name, str) for name in names) and len(set(names)) == len(names)


def _shapes_of_model(state: EmbedderState) -> dict[str, tuple[int, ...]]:
    """Shape of each tensor of the model."""
    try:
        # Nothing is written to its weights, so that they take addresses and no memory. (torch's "meta" device, made
        # for this, imports a compiler, which takes seconds.)
        model = bare_model(state.config)
    except RuntimeError as error:
        raise ModelFileError(f"config: no memory can hold this model: {error}") from error
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _check_tensors(part: str, tensors: Weights, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse tensors that are missing, too many, of another shape or type, or not finite."""
    for name in sorted(shapes.keys() ^ tensors.keys()):
        raise ModelFileError(f"tensor {part}/{name} {'is missing' if name in shapes else 'belongs to no part'}.")
    for name, tensor in tensors.items():
        _check_tensor(f"{part}/{name}", tensor, shapes[name])
        if name.rpartition(".")[2] not in _OF_FEATURES:
            _check_size(f"{part}/{name}", tensor)


def _check_scales(part: str, tensors: Weights) -> None:
    """Refuse deviations of site features that nothing can be divided by."""
    for name, tensor in tensors.items():
        if name.rpartition(".")[2] == "feature_scale":
            _need(bool((tensor > 0).all()), f"tensor {part}/{name}", "> 0", float(tensor.min()))


def _check_tensor(name: str, tensor: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Refuse a tensor of another shape or type, or one that is not finite."""
    _need(tensor.shape == shape, f"tensor {name}", f"of shape {shape}", tensor.shape)
    _need(tensor.dtype == np.float32, f"tensor {name}", "of float32", str(tensor.dtype))
    _need(bool(np.isfinite(tensor).all()), f"tensor {name}", "finite", "NaN or infinity")


def _check_size(name: str, tensor: NDArray[Any]) -> None:
    """Refuse a tensor with numbers that nothing can be computed with."""
    largest = float(np.abs(tensor).max(initial=0.0))
    _need(largest <= _LARGEST, f"tensor {name}", f"of numbers up to {_LARGEST:g}", f"{largest:g}")


def _check_numbers(name: str, values: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Refuse all but finite numbers in double precision and of this shape."""
    fits = values.dtype == np.float64 and values.shape == shape and bool(np.isfinite(values).all())
    _need(fits, name, f"finite numbers of shape {shape}", values.tolist())


def _check_vectors(state: EmbedderState) -> None:
    """Refuse a scale that does not fit the columns of the vector."""
    names = column_names(state.config)
    width, n_columns = len(names), len(state.columns)
    _need(_are_distinct_texts(state.columns), "columns", "distinct names", state.columns[:3])
    for name, tensor in (("center", state.center), ("scale", state.scale)):
        _check_tensor(name, tensor, (width,))
    _need(bool((state.scale > 0).all()), "tensor scale", "> 0", float(state.scale.min(initial=1.0)))
    if (state.components is None) != (state.offset is None):
        raise ModelFileError("tensors components and offset must both be there, or neither.")
    if state.components is not None and state.offset is not None:
        _check_tensor("components", state.components, (n_columns, width))
        _check_tensor("offset", state.offset, (n_columns,))
        for name, tensor in (("components", state.components), ("offset", state.offset)):
            _check_size(name, tensor)
        return
    _need(list(state.columns) == names, "columns", "those of the model", state.columns[:3])


def _check_seen(seen: Seen, n_columns: int) -> None:
    """Refuse what no pretraining can have seen."""
    fits = seen.elements.shape == (N_ATOMIC_NUMBERS,) and seen.elements.dtype == np.int64
    _need(fits and bool((seen.elements >= 0).all()), "tensor seen/elements", "counts of the elements", seen.elements)
    width = len(seen.axes)
    _check_tensor("seen/axes", seen.axes, (width, n_columns))
    fits = seen.places.shape[1:] == (width,) and len(seen.places) > 0 and seen.places.dtype == np.int8
    _need(fits, "tensor seen/places", f"of int8 and shape (n, {width})", (seen.places.shape, str(seen.places.dtype)))
    _check_tensor("seen/spacing", seen.spacing, (N_QUANTILES,))


def _check_facts(state: EmbedderState) -> None:
    """Refuse facts of another type, and featurizers that cannot be built."""
    _check_parameters("parameters", state.parameters)
    _check_record("record", state.record)
    try:
        work = state.featurizer.work().config
    except (TypeError, ValueError, OverflowError) as error:
        raise ModelFileError(f"featurizer: {error}") from error
    for name, most in _MOST_OF_FEATURIZER.items():
        _need_integer(f"featurizer.{name}", getattr(state.featurizer, name), 1, most)
    for name, has, made in (
        ("settings", dict(state.settings), work.settings),
        ("config.feature_names", state.config.feature_names, work.feature_names),
        ("config.interaction_names", state.config.interaction_names, work.interaction_features),
    ):
        _need(has == made, name, f"those of the featurizer, {shown(made)}", has)


def _check_parameters(name: str, parameters: Mapping[str, Any]) -> None:
    """Refuse a seed that is none, and what no file keeps; the estimator looks at the others when it is built."""
    if foreign := sorted(RUN_TIME & set(parameters)):  # how and where to run is not a file's to say
        raise ModelFileError(f"{name}.{foreign[0]} is a choice that no file keeps, got {parameters[foreign[0]]!r}.")
    seed, accepted = parameters.get("random_state"), optional(integer(0))
    _need(accepted.test(seed), f"{name}.random_state", accepted.words, seed)


def _check_record(name: str, record: TrainingRecord) -> None:
    """Refuse more failed rows than there were."""
    rows, failed = record.rows, record.failed
    fits = rows is failed if rows is None or failed is None else failed <= rows
    _need(fits, f"{name}.failed", f"at most the number of rows, {rows}", failed)


def _check_regressor(state: RegressorState, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse members whose encoder or head does not fit the start and the targets."""
    scale = state.target_scale
    n_targets = scale.center.size
    _need(isinstance(scale.single, bool), "targets.single", "true or false", scale.single)
    _need(n_targets >= 1 and (n_targets == 1 or not scale.single), "targets.center", "one number a target", n_targets)
    for name, values in (("center", scale.center), ("scale", scale.scale)):
        _check_numbers(f"targets.{name}", values, (n_targets,))
    _need(bool((scale.scale > 0).all()), "targets.scale", "> 0", scale.scale.tolist())
    _need_integer("head_width", state.head_width, 0, _WIDEST)
    if state.anchor is not None:
        _check_anchor(state.anchor, len(state.start.columns), n_targets)
    if state.classes is not None:
        _check_classes(state.classes, n_targets)
    least = int(state.anchor is None)
    _need(len(state.members) >= least, "members", f"an integer >= {least}", len(state.members))
    with without_drawing():
        head = RegressionHead(len(state.start.columns), n_targets, state.head_width)
    heads = {name: tuple(tensor.shape) for name, tensor in head.state_dict().items()}
    for place, member in enumerate(state.members):
        _check_tensors(f"members/{place}/encoder", member.encoder, shapes)
        _check_scales(f"members/{place}/encoder", member.encoder)
        _check_tensors(f"members/{place}/head", member.head, heads)
    _check_parameters("regressor.parameters", state.parameters)
    _check_record("regressor.record", state.record)


def _check_anchor(anchor: Anchor, n_columns: int, n_targets: int) -> None:
    """Refuse a ridge that does not fit the vectors and the targets, and a strength beyond 0 to 1."""
    ridge, n = anchor.ridge, anchor.ridge.factor.shape[-1]
    shapes = {"weight": (n_targets, n_columns), "bias": (n_targets,), "center": (n_columns,), "factor": (n_columns, n)}
    for name, shape in shapes.items():
        _check_tensor(f"anchor/{name}", getattr(ridge, name), shape)
        _check_size(f"anchor/{name}", getattr(ridge, name))
    accepted = number(above=0)
    _need(accepted.test(ridge.penalty), "penalty", accepted.words, ridge.penalty)
    for name, values, most in (("strength", anchor.strength, 1.0), ("noise", anchor.noise, np.inf)):
        _check_numbers(f"tensor anchor/{name}", values, (n_targets,))
        _need(
            bool(((values >= 0) & (values <= most)).all()),
            f"tensor anchor/{name}",
            f"from 0 to {most}",
            values.tolist(),
        )


def _check_classes(classes: Classes, n_targets: int) -> None:
    """Refuse numbers that do not belong to the classes."""
    n = len(classes.names)
    shapes = {"shares": (n,), "slopes": (n_targets, n), "offsets": (n,)}
    for name, shape in shapes.items():
        _check_numbers(f"classes.{name}", getattr(classes, name), shape)
    fits = bool((classes.shares > 0).all()) and abs(float(classes.shares.sum()) - 1) < 1e-6
    _need(fits, "classes.shares", "> 0 and add to 1", classes.shares.tolist())
