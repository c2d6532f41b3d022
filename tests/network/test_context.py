"""The context encoder never sees the centre: whatever sits there, its vector stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pymatgen.core import Lattice, Structure

from skdim import CrystalPointSetTransformer
from skdim.network.batches import Batch
from skdim.network.config import EncoderConfig
from skdim.network.encoder import SiteNetEncoder
from skdim.network.model import ContextTower
from skdim.points.sitetypes import N_ATOMIC_NUMBERS
from tests.daily import crossed
from tests.handmade import salt, silicon
from tests.small import batch_of, mixture, random, rutile

CONFIGS = [
    EncoderConfig(width=8, heads=2, decay=(2.0, 6.0)),
    EncoderConfig(width=8, heads=2, block="sitenet", decay=None, difference=False, activation="mish"),
]


def batch_with(structure: Structure, neighborhood: str = "shell") -> Batch:
    featurizer = CrystalPointSetTransformer(
        neighborhood,
        n_neighbors=14,
        site_features="paper",
        supercell_size=30,
        interaction_features=("distance", "log_coulomb", "radius_ratio"),
    )
    return batch_of(featurizer.fit_transform([structure]))


def contexts(structure: Structure, config: EncoderConfig, neighborhood: str = "shell") -> dict[str, torch.Tensor]:
    """The context of each content of a crystal, by formula."""
    batch = batch_with(structure, neighborhood)
    tower = ContextTower(batch.features.shape[1], batch.extra.shape[1], config, torch.ones(N_ATOMIC_NUMBERS)).double()
    generator = torch.Generator().manual_seed(0)
    for parameter in tower.parameters():
        # Small where the distance itself is multiplied: attention must not shut out all neighbours but one.
        torch.nn.init.normal_(parameter, std=0.1 if config.block == "separable" else 0.4, generator=generator)
    found = tower(batch, batch.features / 50, batch.distance)
    content = ["".join(f"{z}:{float(x):.2g} " for z, x in enumerate(f) if x > 0).strip() for f in batch.fractions]
    assert len(set(batch.site_type.tolist())) == len(batch.site_type)
    return {content[k]: found[row] for row, k in enumerate(batch.site_type.tolist())}


def replaced(structure: Structure, old: str, new: dict[str, float] | str) -> Structure:
    other = structure.copy()
    other.replace_species({old: new})
    return other


@pytest.mark.parametrize(("new", "config", "neighborhood"), crossed(["K", "U", "Li"], CONFIGS, ["shell", "supercell"]))
def test_another_element_leaves_the_context_of_its_sites(new: str, config: EncoderConfig, neighborhood: str) -> None:
    """Also where neighbours hold the same element: they are hidden with it."""
    ours, theirs = (contexts(s, config, neighborhood) for s in (salt(), replaced(salt(), "Na", new)))
    z = {"K": "19:1", "U": "92:1", "Li": "3:1"}[new]
    assert torch.allclose(ours["11:1"], theirs[z], atol=1e-10)
    # The chlorine, which sees it, does notice.
    assert not torch.allclose(ours["17:1"], theirs["17:1"], atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS)
def test_in_an_element_nothing_is_known_but_where_the_atoms_are(config: EncoderConfig) -> None:
    ours, theirs = contexts(silicon(), config), contexts(replaced(silicon(), "Si", "Pb"), config)
    assert torch.allclose(ours["14:1"], theirs["82:1"], atol=1e-10)


@pytest.mark.parametrize("config", CONFIGS)
def test_a_mixture_at_the_centre_does_not_show(config: EncoderConfig) -> None:
    ours = contexts(rutile(), config)["22:1"]
    # Counts of neighbours by occupancy are known to all, so the total stays one.
    theirs = contexts(replaced(rutile(), "Ti", {"Zr": 0.5, "Hf": 0.5}), config)["40:0.5 72:0.5"]
    assert torch.allclose(ours, theirs, atol=1e-10)


@pytest.mark.parametrize("config", CONFIGS)
def test_a_neighbor_that_shares_an_element_is_hidden_whatever_else_it_holds(config: EncoderConfig) -> None:
    """Centre Na, neighbours of Na mixed with K: exchanging Na changes both, and the context stays."""
    mixed = Structure(Lattice.cubic(3.6), ["Na", {"Na": 0.3, "K": 0.7}], [[0, 0, 0], [0.5, 0.5, 0.5]])
    other = Structure(Lattice.cubic(3.6), ["Ag", {"Ag": 0.6, "K": 0.4}], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert torch.allclose(contexts(mixed, config)["11:1"], contexts(other, config)["47:1"], atol=1e-10)


def test_the_same_element_elsewhere_does_show() -> None:
    """The context is not blind: another partner, or another distance, changes it."""
    ours = contexts(salt(), CONFIGS[0])["11:1"]
    assert not torch.allclose(ours, contexts(replaced(salt(), "Cl", "Br"), CONFIGS[0])["11:1"], atol=1e-5)
    wider = salt()
    wider.scale_lattice(wider.volume * 1.1)
    assert not torch.allclose(ours, contexts(wider, CONFIGS[0])["11:1"], atol=1e-5)


def test_no_gradient_reaches_the_features_of_the_centre() -> None:
    batch = batch_with(mixture())
    encoder = SiteNetEncoder(batch.features.shape[1], batch.extra.shape[1], CONFIGS[1], hide_centre=True).double()
    features = (batch.features / 50).requires_grad_()
    for row, site_type in enumerate(batch.site_type.tolist()):
        vector = encoder(batch, features, batch.distance).vector[row]
        (gradient,) = torch.autograd.grad(vector @ random(len(vector)), features)
        others = [k for k in range(len(features)) if k != site_type]
        assert (gradient[site_type] == 0).all()
        assert gradient[others].abs().max() > 0


def test_interaction_features_that_contain_the_centre_are_left_out() -> None:
    batch = batch_with(salt())
    encoder = SiteNetEncoder(batch.features.shape[1], batch.extra.shape[1], CONFIGS[0], hide_centre=True).double()
    other = replace(batch, extra=batch.extra + 1.0)
    ours, theirs = (encoder(b, b.features / 50, b.distance).vector for b in (batch, other))
    assert torch.equal(ours, theirs)


def test_deeper_encoders_have_seen_the_centre_and_are_refused() -> None:
    with pytest.raises(ValueError, match="blocks=2 must be 1"):
        SiteNetEncoder(3, 0, EncoderConfig(blocks=2), hide_centre=True)
