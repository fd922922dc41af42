"""Training events: tensors of an event, with the particle of each spacepoint."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from exatrkx.events.event import features
from exatrkx.events.parquet import read_events
from exatrkx.networks.storage import hash_tensors

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from torch import Tensor

    from exatrkx.events.event import Event, IntArray, Truth

NO_PARTICLE = -1

MOST_PARTICLES: Final = 2
"""Of one spacepoint: of a cluster merged from more, those with the highest pT."""

MOST_SPACEPOINTS: Final = 12_000
"""Larger events are trained on in sectors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingEvent:
    """One event of N spacepoints, P particles and T sequential true edges.

    Attributes:
        features: [N,3] FP32, the contract's columns.
        particle: [N,2] INT64, the particles that made the spacepoint, one or, where clusters merged, two; else −1.
        order: [N,2] INT64, the spacepoint's place along each of them.
        pt: [P] FP32, transverse momentum in GeV.
        true_edges: [2,T] INT64, larger index first.
    """

    features: Tensor
    particle: Tensor
    order: Tensor
    pt: Tensor
    true_edges: Tensor

    def __len__(self) -> int:
        return len(self.features)

    def to(self, device: torch.device) -> TrainingEvent:
        moved = {name: getattr(self, name).to(device) for name in self.__slots__}
        return TrainingEvent(**moved)

    @property
    def hash(self) -> str:
        """SHA-256 of all its tensors."""
        return hash_tensors({name: getattr(self, name) for name in self.__slots__})

    def edge_pt(self, edge_index: Tensor) -> Tensor:
        """[E] pT in GeV of the particle of each edge; 0 where its two spacepoints have no common one."""
        particle = self._common(edge_index)[0]
        known = self.pt[particle.clamp(min=0)] if len(self.pt) else self.pt.new_zeros(len(particle))
        return torch.where(particle >= 0, known, 0.0)

    def gap(self, edge_index: Tensor) -> Tensor:
        """[E] INT64: steps along the particle between an edge's two spacepoints; 0 where they have no common one."""
        return self._common(edge_index)[1]

    def _common(self, edge_index: Tensor) -> tuple[Tensor, Tensor]:
        """[E] particle of both of an edge's spacepoints, of two that on which they are nearest, and [E] their gap."""
        row, col = edge_index[0], edge_index[1]
        particle, gap = torch.full_like(row, NO_PARTICLE), torch.zeros_like(row)
        row_particles, col_particles, row_orders, col_orders = (
            of_both[ends].unbind(dim=1) for of_both in (self.particle, self.order) for ends in (row, col)
        )
        for one, place in zip(row_particles, row_orders, strict=True):
            for other, other_place in zip(col_particles, col_orders, strict=True):
                steps = (place - other_place).abs()
                nearer = (one == other) & (one != NO_PARTICLE) & (steps > 0) & ((gap == 0) | (steps < gap))
                particle, gap = torch.where(nearer, one, particle), torch.where(nearer, steps, gap)
        return particle, gap


def training_event(event: Event) -> TrainingEvent:
    """The event, which must have truth, as tensors."""
    assert event.truth is not None
    particle, order = map(torch.from_numpy, _particles_of_spacepoints(event.truth, len(event)))
    return TrainingEvent(
        features=torch.from_numpy(features(event)),
        particle=particle,
        order=order,
        pt=torch.from_numpy(event.truth.particles.pt),
        true_edges=sequential_edges(particle, order),
    )


def _particles_of_spacepoints(truth: Truth, num_spacepoints: int) -> tuple[IntArray, IntArray]:
    """[N,2] charged particles of each spacepoint, that with the highest pT first, and [N,2] its places along them."""
    along = np.lexsort((truth.order, truth.particle))
    along = along[truth.particles.charge[truth.particle[along]] != 0]
    keys = truth.particle[along] * max(1, num_spacepoints) + truth.spacepoint[along]
    once = along[np.sort(np.unique(keys, return_index=True)[1])]  # two hits may lie in one cluster: the first counts
    owner, spacepoint = truth.particle[once], truth.spacepoint[once]
    place = _rank(owner)
    by_spacepoint = np.lexsort((owner, -truth.particles.pt[owner], spacepoint))
    slot = _rank(spacepoint[by_spacepoint])
    kept = by_spacepoint[slot < MOST_PARTICLES]
    slot = slot[slot < MOST_PARTICLES]
    particle = np.full((num_spacepoints, MOST_PARTICLES), NO_PARTICLE, dtype=np.int64)
    order = np.zeros_like(particle)
    particle[spacepoint[kept], slot], order[spacepoint[kept], slot] = owner[kept], place[kept]
    return particle, order


def _rank(groups: IntArray) -> IntArray:
    """[M] 0, 1, 2, … within each run of equal entries."""
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    sizes = np.diff(starts, append=len(groups))
    ranks: IntArray = np.arange(len(groups)) - np.repeat(starts, sizes)
    return ranks


def sequential_edges(particle: Tensor, order: Tensor) -> Tensor:
    """[2,T] INT64 true edges, once each, of [N,2] particles and places along them: pairs that are one step apart."""
    places = along_particles(particle, order)
    spacepoint, owner, place = places // particle.size(1), particle.flatten()[places], order.flatten()[places]
    first, second = spacepoint[:-1], spacepoint[1:]
    joined = (owner[1:] == owner[:-1]) & (place[1:] - place[:-1] == 1)
    ends = torch.stack((first[joined], second[joined]))
    edges: Tensor = torch.unique(torch.stack((ends.amax(dim=0), ends.amin(dim=0))), dim=1)
    return edges


def along_particles(particle: Tensor, order: Tensor) -> Tensor:
    """[M] places in the flat [N,2] tables of all that are a particle's, one particle after the other, along it."""
    places = torch.argsort(order.flatten(), stable=True)
    places = places[torch.argsort(particle.flatten()[places], stable=True)]
    return places[particle.flatten()[places] != NO_PARTICLE]


def load_training_events(
    paths: Iterable[Path], limit: int | None = None, most_spacepoints: int = MOST_SPACEPOINTS
) -> list[TrainingEvent]:
    """All events of these files (the first `limit` of each); large ones in sectors."""
    return [
        part
        for path in paths
        for event in read_events(path, indices=None if limit is None else range(limit))
        for part in sectors(training_event(event), most_spacepoints)
        if len(part)
    ]


def sectors(event: TrainingEvent, most_spacepoints: int) -> list[TrainingEvent]:
    """The event in as few equal sectors of φ as keep each to about `most_spacepoints`.

    A sector is as crowded as the event, and takes a part of its memory: many steps of the optimiser fit where one event
    would. What crosses a border is lost to training, not to the network: at inference events are whole.
    """
    count = max(1, math.ceil(len(event) / most_spacepoints))
    if count == 1:
        return [event]
    which = ((event.features[:, 1] + 1.0) * (0.5 * count)).long().clamp(0, count - 1)
    return [part(event, which == number) for number in range(count)]


def part(event: TrainingEvent, inside: Tensor) -> TrainingEvent:
    """The spacepoints where `inside` is true, in their order, and the edges between them."""
    index = torch.cumsum(inside, dim=0) - 1  # [N] -> place in the part
    kept = event.true_edges[:, inside[event.true_edges].all(dim=0)]
    return replace(
        event,
        features=event.features[inside],
        particle=event.particle[inside],
        order=event.order[inside],
        true_edges=index[kept],
    )
