"""What the context objective expects at each site, and which elements it finds alike."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.functional import normalize

from skdim.exceptions import InputError
from skdim.interpretation._sites import SYMBOLS, contents, encoder_of, site_by_site
from skdim.network.infomax import LEAST_SHARE, surprise
from skdim.points.pointsets import PointSets
from skdim.points.sitetypes import N_ATOMIC_NUMBERS

if TYPE_CHECKING:
    import pandas as pd

    from skdim.learning.embedding import Encoder
    from skdim.network.batches import Batch
    from skdim.network.model import ContextTower, CrystalModel


def site_surprise(embedder: Any, structure: Any) -> pd.DataFrame:
    """Say how unexpected the element at each site of a crystal is, given its neighbours.

    A neighbour's element is hidden where it is also an element of the site: an atom that has come to sit among its own
    kind shows in the surprise of others rather than in its own.

    Parameters
    ----------
    embedder : DeepInfoMaxEmbedder
        Fitted, with a context objective, as the default preset has.
    structure : crystal
        Of any accepted kind: a pymatgen Structure, a path, ...

    Returns
    -------
    DataFrame
        One line for each site (with neighborhood="supercell" for each of the primitive cell): ``site``, ``element``
        (of a mixture with occupancies), ``a``, ``b``, ``c`` (fractional coordinates), ``x``, ``y``, ``z`` (Angstrom),
        ``surprise`` (minus the log of the true content's probability, in nats), ``expected`` (the most probable
        element) and ``probability`` (its own).

    Raises
    ------
    StructureError
        If it is no usable crystal.
    TypeError
        If it is a collection of crystals.
    ValueError
        If the embedder has no context objective, as with preset="paper".

    Examples
    --------
    >>> from skdim import DeepInfoMaxEmbedder
    >>> from skdim.datasets import load_band_gap
    >>> from skdim.interpretation import site_surprise
    >>> structures, _ = load_band_gap(return_X_y=True)
    >>> embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(structures[:50])
    >>> table = site_surprise(embedder, structures[0])
    >>> len(table) == len(structures[0]), bool((table["surprise"] > 0).all())
    (True, True)
    """
    import pandas as pd

    encoder = encoder_of(embedder)
    tower = _context_of(encoder)
    if isinstance(structure, list | tuple | np.ndarray | PointSets):
        raise TypeError(f"structure must be one crystal, got a {type(structure).__name__}: give them one by one.")
    points, (crystal,), (sites,) = site_by_site(encoder, [structure])
    batch = encoder.batch(points, np.arange(1))
    with torch.inference_mode():
        guess = _log_probabilities(encoder.model, tower, batch)
        unexpected = surprise(batch, guess).double().cpu().numpy()
    best, probability = guess.argmax(1).cpu().numpy(), guess.exp().amax(1).double().cpu().numpy()
    places = {name: crystal.frac_coords[sites, k] for k, name in enumerate("abc")}
    places |= {name: crystal.cart_coords[sites, k] for k, name in enumerate("xyz")}
    told = {"surprise": unexpected, "expected": SYMBOLS[best], "probability": probability}
    return pd.DataFrame({"site": sites, "element": contents(batch), **places, **told})


def interchangeable_elements(embedder: Any, X: Any = None) -> pd.DataFrame:
    """Say which elements an embedder considers interchangeable.

    Parameters
    ----------
    embedder : DeepInfoMaxEmbedder
        Fitted, with a context objective, as the default preset has.
    X : collection of crystals, PointSets or None, default=None
        Over whose sites to compare. None compares what the embedder has learned of the elements, over surroundings of
        any kind.

    Returns
    -------
    DataFrame of shape (n, n)
        Elements of the pretraining set by rising atomic number in rows and columns. Each entry is the correlation,
        over surroundings, of the log ratios by which these make the two elements more or less probable than they are
        on average: 1 for elements that can stand in for each other, -1 for opposites.

    Raises
    ------
    ValueError
        If the embedder has no context objective, as with preset="paper", or X holds fewer than 2 usable sites.

    Examples
    --------
    >>> from skdim import DeepInfoMaxEmbedder
    >>> from skdim.datasets import load_band_gap
    >>> from skdim.interpretation import interchangeable_elements
    >>> structures, _ = load_band_gap(return_X_y=True)
    >>> embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(structures[:50])
    >>> table = interchangeable_elements(embedder)
    >>> float(table.loc["O", "O"]), bool((table == table.T).all(axis=None))
    (1.0, True)
    """
    import pandas as pd

    encoder = encoder_of(embedder)
    tower = _context_of(encoder)
    objective = tower.objective
    # An element without sites has the floor itself, to rounding.
    seen = objective.log_share > math.log(1.001 * LEAST_SHARE)
    with torch.inference_mode():
        if X is None:
            # Log ratios are key . (W l + b): over surroundings l of unit variance in every direction.
            ratios = (objective.key[seen] @ objective.query.weight).double()
        else:
            ratios = torch.cat(_log_ratios(encoder, tower, X)).T[seen].double()
            if ratios.shape[1] < 2:
                raise InputError(f"X holds {ratios.shape[1]} usable sites; at least 2 are needed to compare over.")
            ratios = ratios - ratios.mean(1, keepdim=True)
        # What all elements have in common cancels in the probabilities.
        ratios = normalize(ratios - ratios.mean(0), dim=1)
        alike = (ratios @ ratios.T).clamp(-1, 1).cpu().numpy()
    alike = (alike + alike.T) / 2
    np.fill_diagonal(alike, 1.0)
    names = pd.Index(SYMBOLS[seen.cpu().numpy()], name="element")
    return pd.DataFrame(alike, index=names, columns=names)


def _context_of(encoder: Encoder) -> ContextTower:
    """The context encoder of a model, which must have learned something."""
    model = encoder.model
    if model.context is None or model.config.objective.context == 0:
        raise InputError(
            "embedder must have a context objective, which alone tells what its sites expect: preset='default' has, or "
            f"objective_params={{'context': 1.0}} with readout='moments'; got {model.config.objective}."
        )
    return model.context


def _log_probabilities(model: CrystalModel, tower: ContextTower, batch: Batch) -> torch.Tensor:
    """Log probability (S, 119) of each element at each site."""
    return tower.objective.log_probabilities(tower(batch, model.features(batch), batch.distance))


def _log_ratios(encoder: Encoder, tower: ContextTower, X: Any) -> list[torch.Tensor]:
    """For the rows of each crystal the log ratio (S, 119) of an element's probability there and on average."""
    points, share = encoder.featurize(X), tower.objective.log_share
    batches = (encoder.batch(points, np.array([k])) for k in np.flatnonzero(points.valid))
    found = [_log_probabilities(encoder.model, tower, batch) - share for batch in batches]
    return [share.new_zeros(0, N_ATOMIC_NUMBERS), *found]
