"""The file of a fitted label-masking estimator: a zip archive of facts as JSON and of the files of its parts.

Format 2 keeps parts without a file format of their own by skops, which names every type in the file before it builds
one. Format 1 kept them as a pickle; such files are read on request.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np

import skdim
from skdim._fields import ANY, COUNT, FLAG, TEXT, VERSIONS, Schema, check_fields
from skdim._files import digest, replacing
from skdim._parameters import as_json, choice, integer, optional, shown
from skdim.embedder import DeepInfoMaxEmbedder
from skdim.exceptions import ModelFileError
from skdim.learning.statefile import saved_bytes
from skdim.regressor import SiteNetRegressor
from skdim.sitenet_classifier import SiteNetClassifier

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 2
_FACTS, _PICKLED = "model.json", "estimators.joblib"
_PLACE = integer(0, 2**63 - 1)
# Parts that have a file format of their own.
_OWN: dict[str, type[Any]] = {
    "embedder": DeepInfoMaxEmbedder,
    "regressor": SiteNetRegressor,
    "classifier": SiteNetClassifier,
}


@dataclass(frozen=True)
class SavedMasking:
    """What a file holds of a `LabelMaskingRegressor` or `LabelMaskingClassifier`."""

    kind: str  # of the part: "regressor" or "classifier"
    embedder: Any  # fitted
    part: Any  # fitted
    frozen: bool  # whether the embedder was given as a frozen one
    n_labels: int | None
    random_state: int | None
    labelled: NDArray[np.intp]  # rows that the part was fitted on
    target_shape: tuple[int, ...]  # () of one target, (T,) of several


def write_masking(path: str | os.PathLike[str], saved: SavedMasking) -> None:
    """Write a fitted estimator to one file at exactly this path."""
    fitted = {"embedder": saved.embedder, saved.kind: saved.part}
    parts = {name: _written(name, part) for name, part in fitted.items()}
    facts = {
        "format": FORMAT,
        "skdim": skdim.__version__,
        "parts": {name: "skdim" if type(part) is _OWN[name] else "skops" for name, part in fitted.items()},
        **{name: getattr(saved, name) for name in ("frozen", "n_labels", "random_state", "labelled", "target_shape")},
        "sha256": digest(*parts.values()),
    }
    told = as_json(facts)
    _check_facts(json.loads(told))
    with replacing(path) as draft, zipfile.ZipFile(draft, "w") as archive:
        archive.writestr(_FACTS, told)
        for name, content in parts.items():
            archive.writestr(name, content)


def read_masking(
    path: str | os.PathLike[str],
    owner: str,  # the class that reads it
    kind: str,  # of its part: "regressor" or "classifier"
    trusted: bool,  # whether to build types that are not known to be safe, and to read pickles
) -> SavedMasking:
    """Read what `write_masking` wrote, in this format or an earlier one."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{os.fspath(path)!r} is not a file; the path of what {owner}.save wrote is needed.")
    try:
        with _opened(path) as archive:
            facts = json.loads(archive.read(_FACTS))
            return _READERS[_format(facts)](archive, facts, kind, trusted)
    except ModelFileError as error:
        raise ModelFileError(f"{os.fspath(path)!r}: {error}") from error
    except (zipfile.BadZipFile, KeyError, TypeError, AttributeError, json.JSONDecodeError, RecursionError) as error:
        raise ModelFileError(
            f"{os.fspath(path)!r} is not a {owner} saved by skdim, or it is damaged: {error}"
        ) from error


def _opened(source: str | os.PathLike[str] | bytes) -> zipfile.ZipFile:
    """Open an archive, whose parts are neither packed nor locked: none is larger than the file."""
    size = len(source) if isinstance(source, bytes) else os.path.getsize(source)
    archive = zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source)
    for part in archive.infolist():
        if part.compress_type != zipfile.ZIP_STORED or part.flag_bits & 1 or part.file_size > size:
            archive.close()
            raise ModelFileError(f"its part {part.filename!r} is packed or locked, which save never does.")
    return archive


def _format(facts: Any) -> int:
    """The format of a file, if it is one that can be read."""
    version, accepted = facts["format"], choice(*_READERS)
    if not accepted.test(version):
        raise ModelFileError(
            f"format must be {accepted.words}, got {shown(version)}. This is skdim {skdim.__version__}: a "
            "later one may read it."
        )
    return int(version)


def _written(name: str, part: Any) -> bytes:
    """The bytes of a part: its own file, or that of skops."""
    if type(part) is _OWN[name]:
        return saved_bytes(part)
    import skops.io  # it takes a while to import, and is needed here only

    kept: bytes = skops.io.dumps(part)
    return kept


def _read_2(archive: zipfile.ZipFile, facts: dict[str, Any], kind: str, trusted: bool) -> SavedMasking:
    """Read the current format."""
    _check_facts(facts)
    contents = _contents(archive, facts, kind)
    found = {
        name: _OWN[name].load(content) if facts["parts"][name] == "skdim" else _loaded_by_skops(name, content, trusted)
        for name, content in contents.items()
    }
    return _saved(facts, kind, found)


def _contents(archive: zipfile.ZipFile, facts: dict[str, Any], kind: str) -> dict[str, bytes]:
    """The parts as bytes, which are those that were written."""
    contents = {name: archive.read(name) for name in ("embedder", kind)}
    if facts["sha256"] != digest(*contents.values()):
        raise ModelFileError("sha256 does not fit the content: the file is damaged or was changed.")
    return contents


def masking_facts(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a file says of itself, once all is looked at that reading it would look at.

    Parts that are kept by skops or as pickles are not opened, as that can run code.
    """
    with _opened(path) as archive:
        if (damaged := archive.testzip()) is not None:
            raise ModelFileError(f"its part {damaged!r} is damaged")
        facts: dict[str, Any] = json.loads(archive.read(_FACTS))
        _check_facts(facts)
        if _format(facts) == FORMAT:
            (kind,) = set(facts["parts"]) - {"embedder"}
            contents = _contents(archive, facts, kind)
            own = {name: content for name, content in contents.items() if facts["parts"][name] == "skdim"}
        else:
            own = {name: archive.read(f"{name}_") for name in _OWN if f"{name}_" in archive.namelist()}
        for name, content in own.items():
            _OWN[name].load(content)
    return facts


def _loaded_by_skops(name: str, content: bytes, trusted: bool) -> Any:
    """A part that skops keeps; no type is built that it does not know to be safe, unless it is told to."""
    import skops.io

    _opened(content).close()
    unknown = skops.io.get_untrusted_types(data=content)
    if unknown and not trusted:
        raise ModelFileError(
            f"its {name} is made of the types {', '.join(unknown)}, which are not known to be safe. Pass trusted=True "
            "if you trust who wrote the file: building them can run any code."
        )
    return skops.io.loads(content, trusted=unknown)


def _read_1(archive: zipfile.ZipFile, facts: dict[str, Any], kind: str, trusted: bool) -> SavedMasking:
    """Read format 1, which kept parts without a file format of their own as a pickle."""
    _check_facts(facts)
    pickled = facts["pickled"]
    if pickled and not trusted:
        raise ModelFileError(
            f"its {', '.join(sorted(pickled.values()))} is kept as a pickle, and reading a pickle can run any code. "
            "Pass trusted=True if you trust who wrote the file."
        )
    attributes = joblib.load(io.BytesIO(archive.read(_PICKLED))) if pickled else {}
    found = {name.removesuffix("_"): part for name, part in attributes.items()}
    for name in sorted({"embedder", kind} - set(found)):
        found[name] = _OWN[name].load(archive.read(f"{name}_"))
    return _saved(facts, kind, found)


def _saved(facts: dict[str, Any], kind: str, found: dict[str, Any]) -> SavedMasking:
    """Facts and parts as one record."""
    return SavedMasking(
        kind=kind,
        embedder=found["embedder"],
        part=found[kind],
        frozen=facts["frozen"],
        n_labels=facts["n_labels"],
        random_state=facts["random_state"],
        labelled=np.array(facts["labelled"], np.intp),
        target_shape=tuple(facts["target_shape"]),
    )


def _check_facts(facts: Any) -> None:
    """Refuse facts that no estimator can have left."""
    check_fields("", facts, _SCHEMAS[_format(facts)])
    shape = facts["target_shape"]
    if len(shape) > 1 or 0 in shape:
        raise ModelFileError(f"target_shape must be empty or the number of targets, got {shown(shape)}.")
    labelled = np.array(facts["labelled"], np.int64)
    if (np.diff(labelled) <= 0).any():
        raise ModelFileError(f"labelled must be different rows, in order, got {shown(facts['labelled'])}.")


_COMMON: dict[str, Schema] = {
    "format": ANY,
    "frozen": FLAG,
    "n_labels": optional(COUNT),
    "random_state": optional(COUNT),
    "labelled": [_PLACE],
    "target_shape": [integer(0, 1_000_000)],
}
_KEPT_BY = choice("skdim", "skops")
_SCHEMAS: dict[int, Schema] = {
    1: {**_COMMON, "pickled": VERSIONS, "versions?": VERSIONS, "memory?": ANY},
    2: {
        **_COMMON,
        "skdim": TEXT,
        "parts": {"embedder": _KEPT_BY, "regressor?": _KEPT_BY, "classifier?": _KEPT_BY},
        "sha256": TEXT,
    },
}
_READERS = {1: _read_1, 2: _read_2}
