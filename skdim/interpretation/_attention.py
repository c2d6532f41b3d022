"""How much attention each site pays to each of its neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from skdim.interpretation._sites import contents, encoder_of, site_by_site
from skdim.points.pointsets import PointSets

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from skdim.network.batches import Batch
    from skdim.network.model import CrystalModel


def attention_by_distance(embedder: Any, X: Any) -> pd.DataFrame:
    """Say how much attention each site of some crystals pays to each of its neighbours.

    Parameters
    ----------
    embedder : DeepInfoMaxEmbedder
        Fitted.
    X : collection of crystals of length C, or PointSets
        Of crystals every site is listed, of point sets every row, in which symmetry may have merged several sites.

    Returns
    -------
    DataFrame
        One line for each encoder, pair and head: ``crystal`` (row of X), ``site`` (of the crystal; with
        neighborhood="supercell" those of its primitive cell, by the site each stands for), ``element`` (what sits
        there; of a mixture with occupancies), ``encoder`` ("environment", which sees the centre, or "context", which
        does not, where the embedder has one), ``head``, ``neighbor``, ``neighbor_element``, ``distance`` (Angstrom),
        ``count`` (equal pairs that the line stands for) and ``weight`` (the attention of all of them). Weights of a
        site, an encoder and a head sum to one. Attention is that of an encoder's last block.

    Raises
    ------
    StructureError
        For rows that are no usable crystals, all at once.
    ValueError
        If the point sets are of another kind than the embedder's.

    Examples
    --------
    >>> from skdim import DeepInfoMaxEmbedder
    >>> from skdim.datasets import load_band_gap
    >>> from skdim.interpretation import attention_by_distance
    >>> structures, _ = load_band_gap(return_X_y=True)
    >>> embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(structures[:50])
    >>> table = attention_by_distance(embedder, structures[:2])
    >>> bool(table.groupby(["crystal", "site", "encoder", "head"])["weight"].sum().sub(1).abs().max() < 1e-5)
    True
    """
    import pandas as pd

    encoder, tables = encoder_of(embedder), []
    if isinstance(X, PointSets):
        points, sites = encoder.featurize(X), None
    else:
        points, _, sites = site_by_site(encoder, X)
    for crystal in np.flatnonzero(points.valid):
        site = np.arange(points.n_sites[crystal]) if sites is None else sites[crystal]
        batch = encoder.batch(points, np.array([crystal]))
        for name, weight in _attention(encoder.model, batch).items():
            tables.append(_attention_table(batch, weight, site).assign(crystal=crystal, encoder=name))
    columns = ["crystal", "site", "element", "encoder", "head", "neighbor", "neighbor_element", "distance", "count"]
    if not tables:
        return pd.DataFrame(columns=[*columns, "weight"])
    return pd.concat(tables, ignore_index=True)[[*columns, "weight"]]


def _attention(model: CrystalModel, batch: Batch) -> dict[str, NDArray[np.float32]]:
    """Attention (P, H) of each encoder."""
    with torch.inference_mode():
        features = model.features(batch)
        encoders = {"environment": model.encoder}
        if model.context is not None:
            encoders["context"] = model.context.encoder
        found = {name: e(batch, features, batch.distance) for name, e in encoders.items()}
        return {name: e.attention(batch).cpu().numpy() for name, e in found.items()}


def _attention_table(batch: Batch, weight: NDArray[np.float32], site: NDArray[np.int64]) -> pd.DataFrame:
    """Lines of one crystal and one encoder, heads innermost."""
    import pandas as pd

    n_pairs, n_heads = weight.shape
    row, neighbor = batch.row.cpu().numpy(), batch.neighbor.cpu().numpy()
    names = contents(batch)
    each: dict[str, NDArray[Any]] = {
        "site": site[row],
        "element": names[row],
        "neighbor": site[neighbor],
        "neighbor_element": names[neighbor],
        "distance": batch.distance.cpu().numpy(),
        "count": batch.count.cpu().numpy(),
    }
    columns = {name: np.repeat(values, n_heads) for name, values in each.items()}
    return pd.DataFrame(columns | {"head": np.tile(np.arange(n_heads), n_pairs), "weight": weight.reshape(-1)})
