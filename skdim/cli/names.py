"""What comes with the package and has a name on the command line: models and sets of crystals."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

from skdim.exceptions import InputError

if TYPE_CHECKING:
    from skdim.embedder import DeepInfoMaxEmbedder

# Repeated here because `skdim --help` lists them and must not import the packages that define them; a test compares.
MODELS = ("materials_project", "materials_project_labels", "materials_project_held_out", "bundled")
MODELS_HELP = f"a model that comes with skdim: {', '.join(MODELS)}"
_FORMER = "default"  # what "bundled" was called
BUNDLED = {
    "formation_energy": "flla_formation_energy.json.gz",
    "band_gap": "dielectric_band_gap.json.gz",
    "elastic_moduli": "elastic_moduli.json.gz",
    "piezoelectric": "piezoelectric.json.gz",
}
BUNDLED_PREFIX = "bundled:"


def with_bundled(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Replace names of bundled sets, such as "bundled:band_gap", by the paths of their files.

    Examples
    --------
    >>> with_bundled(["cifs", "bundled:bandgap"])
    Traceback (most recent call last):
    skdim.exceptions.InputError: 'bundled:bandgap' is unknown; bundled sets are bundled:formation_energy, ...
    """
    return [
        _bundled_file(path) if path.startswith(BUNDLED_PREFIX) else path for path in (os.fspath(path) for path in paths)
    ]


def _bundled_file(path: str) -> str:
    """Path of the file of a bundled set."""
    name = path.removeprefix(BUNDLED_PREFIX)
    if name not in BUNDLED:
        known = ", ".join(f"{BUNDLED_PREFIX}{known}" for known in BUNDLED)
        raise InputError(f"{path!r} is unknown; bundled sets are {known}")
    with as_file(files("skdim.datasets") / "data" / BUNDLED[name]) as file:
        return str(file)


def model_file(model: str | os.PathLike[str]) -> Path:
    """Find the file of a model that is given by its name or its path.

    A name in `MODELS` is the model that comes with the package, also where a file has that name: for the file write
    "./bundled".
    """
    text = os.fspath(model)
    if text == _FORMER and not Path(text).is_file():
        from skdim.pretrained import current_name

        text = current_name(text)
    if text in MODELS:
        with as_file(files("skdim.pretrained") / f"{text}.safetensors") as file:
            return file
    if not Path(text).is_file():
        raise InputError(f"{text!r} is not a file; models that come with the package are {', '.join(MODELS)}")
    return Path(text)


def load_embedder(model: str | os.PathLike[str], device: str = "auto") -> DeepInfoMaxEmbedder:
    """Load an embedder by its name or its path, silent, in one process, and with no folder of an earlier run."""
    file = model_file(model)
    check_device(device)

    from skdim.embedder import DeepInfoMaxEmbedder

    try:
        embedder = DeepInfoMaxEmbedder.load(file)
    except ValueError as error:  # documented: the file is no saved embedder
        raise InputError(str(error)) from error
    embedder.set_params(device=device, verbose=0, n_jobs=None, checkpoint_dir=None)
    return embedder


def check_device(name: str) -> None:
    """Refuse a device that torch does not know or cannot use here."""
    import torch

    try:
        torch.zeros(1, device=None if name == "auto" else name)
    except (RuntimeError, AssertionError) as error:  # the latter where torch was built without such devices
        reason = str(error).splitlines()[0]
        raise InputError(
            f"--device must be auto or a device that torch can use here, got {name!r}: {reason}"
        ) from error
