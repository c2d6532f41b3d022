"""Models that come with the package, and the cards that describe them."""

from __future__ import annotations

import json
import warnings
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

from skdim._files import file_digest
from skdim._parameters import check, choice
from skdim.exceptions import ModelFileError

if TYPE_CHECKING:
    from skdim.embedder import DeepInfoMaxEmbedder

__all__ = ["MODELS", "load_pretrained", "pretrained_card"]

MODELS = ("materials_project", "materials_project_labels", "materials_project_held_out", "bundled")
"""Names of the models."""

_FORMER = {"default": "bundled"}


def load_pretrained(name: str = "materials_project") -> DeepInfoMaxEmbedder:
    """Load an embedder that comes with the package.

    What it was trained on, how, its scores and where its limits are is in `pretrained_card`.

    Parameters
    ----------
    name : {"materials_project", "materials_project_labels", "materials_project_held_out", "bundled"}
        "materials_project", the default: preset="deep", pretrained without labels on 139,405 crystals of the Materials
        Project, and on what a tight-binding model with universal parameters tells of the electrons of most of them. It
        goes on from "materials_project_held_out".

        "materials_project_labels": the same form, which has also learned from computed formation energies and band gaps
        of 36,000 crystals, and from the stiffness of some. Where few labels are to go far this is the best start;
        compare it with models that have learned from labels too. It has seen no composition of a bundled crystal.

        "materials_project_held_out": as "materials_project", from 120,000 crystals, none with the composition of a
        bundled one: the model to take where the bundled crystals are to show what vectors are worth on crystals that
        no training has seen. Earlier it was called "materials_project".

        "bundled": preset="default", pretrained without labels on all bundled crystals; small, and more than twice as
        fast. It has seen every bundled structure, though no property: of the bundled tasks its scores are transductive.
        Earlier it was called "default".

    Returns
    -------
    DeepInfoMaxEmbedder
        Fitted. In a pipeline wrap it in scikit-learn's ``FrozenEstimator``: `fit` trains a new encoder, with a warning.

    Raises
    ------
    ValueError
        If there is no model of that name.
    ModelFileError
        If its file is not the one its card describes.

    Examples
    --------
    >>> from skdim.datasets import load_band_gap
    >>> from skdim.pretrained import load_pretrained
    >>> structures, _ = load_band_gap(return_X_y=True)
    >>> embedder = load_pretrained()
    >>> embedder.transform(structures[:3]).shape == (3, len(embedder.get_feature_names_out()))
    True
    """
    from skdim.embedder import DeepInfoMaxEmbedder  # and with it torch, which the names do without

    name = current_name(name)
    card = pretrained_card(name)
    with as_file(files(__name__) / f"{name}.safetensors") as path:
        found = file_digest(path)
        if found != card["sha256"]:
            raise ModelFileError(
                f"{path} has the sha256 {found}, but its card says {card['sha256']}: it is damaged, or was replaced. "
                "Install the package again."
            )
        embedder = DeepInfoMaxEmbedder.load(path)
    # The last step of making a model took no epoch; a fit of a clone is to train, not to give the untrained control.
    embedder.set_params(max_epochs=None, batch_pairs=None)
    return embedder


def pretrained_card(name: str = "materials_project") -> dict[str, Any]:
    """Read the card of a model that comes with the package.

    Parameters
    ----------
    name : {"materials_project", "materials_project_labels", "materials_project_held_out", "bundled"}
        The model; "materials_project" by default.

    Returns
    -------
    dict
        ``sha256`` and ``bytes`` of the file, ``data``, ``command``, ``seed``, ``versions``, ``training``, ``scores``
        and ``limits``.

    Raises
    ------
    ValueError
        If there is no model of that name.

    Examples
    --------
    >>> from skdim.pretrained import pretrained_card
    >>> len(pretrained_card()["sha256"])
    64
    """
    name = current_name(name)
    check("name", name, choice(*MODELS))
    card: dict[str, Any] = json.loads((files(__name__) / f"{name}.json").read_text(encoding="utf-8"))
    return card


def current_name(name: str) -> str:
    """Return the name of a model, with a warning where it is a former one."""
    if name not in _FORMER:
        return name
    now = _FORMER[name]
    warnings.warn(
        f"The model {name!r} is now called {now!r}. The one that load_pretrained() gives is {MODELS[0]!r}.",
        FutureWarning,
        stacklevel=3,
    )
    return now
