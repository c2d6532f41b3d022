"""The slow twin of the encoder: bond vectors of every copy of every pair, one by one, through layers of full width."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from skdim.network.batches import Batch
from skdim.network.encoder import SiteNetEncoder
from skdim.network.layers import ACTIVATIONS


class Bond(NamedTuple):
    """One copy of one pair."""

    pair: int
    neighbor: int
    weight: float  # smooth cutoff times the neighbour's occupancy
    distance: float


def bonds_of(batch: Batch, distance: torch.Tensor, row: int) -> list[Bond]:
    found = []
    for p in (batch.row == row).nonzero()[:, 0].tolist():
        n = int(batch.count[p])
        one = math.exp(float(batch.log_count[p])) / n
        found += [Bond(p, int(batch.neighbor[p]), one, float(distance[p]))] * n
    return found


def slow_encoder(
    encoder: SiteNetEncoder, batch: Batch, features: torch.Tensor, distance: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return environments (S, blocks * w) and log partitions (S, H) of the first block."""
    rows = range(len(batch.site_type))
    raw = [features[int(k)] for k in batch.site_type]
    state = raw if encoder.embed_site is None else [encoder.embed_site(f) for f in raw]
    edge = {p: _edge(encoder, batch, distance, p) for p in range(len(distance))}
    outputs, partitions = [], []
    for number, block in enumerate(encoder.blocks):
        updated, fresh_edge, partition = [], dict(edge), []
        for i in rows:
            bonds = bonds_of(batch, distance, i)
            if encoder.config.block == "separable":
                summed, total = _separable(encoder, block, batch, bonds, i, raw if number == 0 else None, state, edge)
                updated.append(summed)
                partition.append(total)
                continue
            parts = []
            for bond in bonds:
                j = bond.neighbor
                apart = (raw[i] - raw[j]).abs() if number == 0 else None
                hidden = _hidden(block, state[i], state[j], edge[bond.pair], apart, _alike(batch, i, j))
                pieces = hidden.split(encoder.config.width)
                parts.append(
                    [
                        norm(ACTIVATIONS[encoder.config.activation]()(h))
                        for norm, h in zip(block.norms, pieces, strict=True)
                    ]
                )
                fresh_edge[bond.pair] = parts[-1][-1]
            summed, total = _attend(encoder, block, bonds, parts)
            updated.append(block.site(summed))
            partition.append(total)
        state, edge = updated, fresh_edge
        outputs.append(torch.stack(state))
        partitions.append(torch.stack(partition))
    return torch.cat(outputs, 1), partitions[0]


def _edge(encoder: SiteNetEncoder, batch: Batch, distance: torch.Tensor, p: int) -> torch.Tensor:
    """e_ij: the distance, then whatever else there is."""
    edge = distance[p : p + 1]
    if encoder.blocks[0].centre is not None:
        edge = torch.cat([edge, batch.extra[p]])
    return edge if encoder.embed_edge is None else encoder.embed_edge(edge)


def _alike(batch: Batch, i: int, j: int) -> bool:
    """Whether two sites hold an element in common."""
    return bool((batch.fractions[batch.site_type[i]] * batch.fractions[batch.site_type[j]]).any())


def _hidden(
    block: torch.nn.Module,
    x_i: torch.Tensor,
    x_j: torch.Tensor,
    e_ij: torch.Tensor,
    apart: torch.Tensor | None,
    alike: bool,
) -> torch.Tensor:
    """W z_ij + b with W of full width."""
    if block.centre is None:
        if alike:
            return block.hidden_neighbor + block.edge.weight @ e_ij
        return torch.cat([block.neighbor.weight, block.edge.weight], 1) @ torch.cat([x_j, e_ij]) + block.neighbor.bias
    bond, layers = [x_i, x_j, e_ij], [block.centre, block.neighbor, block.edge]
    if block.difference is not None:
        bond, layers = [*bond, apart], [*layers, block.difference]
    return torch.cat([layer.weight for layer in layers], 1) @ torch.cat(bond) + block.neighbor.bias


def _separable(
    encoder: SiteNetEncoder,
    block: torch.nn.Module,
    batch: Batch,
    bonds: list[Bond],
    i: int,
    raw: list[torch.Tensor] | None,
    state: list[torch.Tensor],
    edge: dict[int, torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor]:
    """The separable form, a bond at a time: u * (C e) + D e under attention e . (Q u)."""
    values, logits = [], []
    heads = encoder.config.heads
    for bond in bonds:
        j = bond.neighbor
        u = block.neighbor(state[j])
        if block.centre is None:
            u = block.hidden_neighbor if _alike(batch, i, j) else u
        else:
            u = u + block.centre(state[i])
        if block.difference is not None and raw is not None:
            u = u + block.difference((raw[i] - raw[j]).abs())
        u = ACTIVATIONS[encoder.config.activation]()(u)
        e = torch.cat([torch.ones(1, dtype=u.dtype), edge[bond.pair]])
        scaling = torch.cat([e @ block.scaling[h] for h in range(heads)])
        values.append(u * scaling + torch.cat([e @ block.shift[h] for h in range(heads)]))
        logits.append(block.logit(u).reshape(heads, -1) @ e)
    return _average(encoder, bonds, [v.split(len(v) // heads) for v in values], logits)


def _attend(
    encoder: SiteNetEncoder, block: torch.nn.Module, bonds: list[Bond], parts: list[list[torch.Tensor]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The published form: attention from the first part of a bond, values from the second."""
    values = [block.value(p[1]).split(encoder.config.width // encoder.config.heads) for p in parts]
    return _average(encoder, bonds, values, [block.logit(p[0]) for p in parts])


def _average(
    encoder: SiteNetEncoder,
    bonds: list[Bond],
    values: list[tuple[torch.Tensor, ...]],
    logits: list[torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor]:
    """sum_j a_ij g_A(z_ij), each head on its slice, and the log partition of each head."""
    config = encoder.config
    summed, partitions = [], []
    for h in range(config.heads):
        scores, some = [], []
        for k, bond in enumerate(bonds):
            if config.decay and bond.distance == 0:
                continue
            decay = config.decay[h] * math.log(bond.distance) if config.decay else 0.0
            scores.append(logits[k][h] - decay)
            some.append(k)
        raised = [score.exp() * bonds[k].weight for score, k in zip(scores, some, strict=True)]
        total = torch.stack(raised).sum()
        summed.append(torch.stack([r * values[k][h] for k, r in zip(some, raised, strict=True)]).sum(0) / total)
        partitions.append(total.log())
    return torch.cat(summed), torch.stack(partitions)
