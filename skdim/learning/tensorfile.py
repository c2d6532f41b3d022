"""Files of tensors with facts about them: safetensors with JSON in the header and a digest of all of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from skdim._files import digest, replacing
from skdim._parameters import as_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")
Facts = dict[str, Any]
Arrays = dict[str, "NDArray[Any]"]


def write_tensors(path: str | os.PathLike[str], facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays and facts (JSON-able, but for numbers of numpy) with their digest to a file at exactly this path."""
    content = tensor_bytes(facts, arrays)
    with replacing(path) as draft:
        # As bytes: the library's own writer gives the file to its owner alone, whatever the umask says.
        draft.write_bytes(content)


def tensor_bytes(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The content of the file that `write_tensors` writes."""
    arrays = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    # As they will be read: the digest is that of values that have been through JSON.
    plain: Facts = json.loads(as_json(dict(facts)))
    plain["sha256"] = digest_of(plain, arrays)
    content: bytes = save(arrays, {"skdim": as_json(plain)})
    return content


def read_tensors(source: str | os.PathLike[str] | bytes) -> tuple[Facts, Arrays]:
    """Read the facts and arrays of a file that `write_tensors` wrote, or of its content; others are a ValueError.

    Whether "sha256" among the facts fits is left to the caller, see `digest_of`.
    """
    try:
        if isinstance(source, bytes):
            length = int.from_bytes(source[:8], "little")
            return _facts(json.loads(source[8 : 8 + length])["__metadata__"]), load(source)
        with safe_open(source, "np") as file:
            return _facts(file.metadata()), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__} {error}") from error


def read_facts(path: str | os.PathLike[str]) -> Facts:
    """Read the facts alone of a file that `write_tensors` wrote; see `read_tensors`."""
    try:
        with safe_open(path, "np") as file:
            return _facts(file.metadata())
    except (SafetensorError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__} {error}") from error


def _facts(metadata: Mapping[str, str] | None) -> Facts:
    """The facts among what a file of tensors says of itself."""
    facts = json.loads((metadata or {})["skdim"])
    if not isinstance(facts, dict):
        raise ValueError("its header holds no dict")
    return facts


def under(prefix: str, arrays: Mapping[str, T]) -> dict[str, T]:
    """Return the tensors whose names have a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def digest_of(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Digest of all that a file says, but for the digest itself."""
    said = json.dumps({name: value for name, value in facts.items() if name != "sha256"}, sort_keys=True)
    return digest(said, *(part for name in sorted(arrays) for part in (name, arrays[name])))
