"""Training events: tensors of an event, with the particle of each spacepoint."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from exatrkx.events.event import features
from exatrkx.events.parquet import read_events
from exatrkx.events.truth import true_edges
from exatrkx.networks.storage import hash_tensors

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from torch import Tensor

    from exatrkx.events.event import Event

NO_PARTICLE = -1

MOST_SPACEPOINTS: Final = 12_000
"""Larger events are trained on in sectors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingEvent:
    """One event of N spacepoints, P particles and T sequential true edges.

    Attributes:
        features: [N,3] FP32, the contract's columns.
        particle: [N] INT64, the particle that made the spacepoint (the first of several), or −1.
        order: [N] INT64, the spacepoint's place along its particle.
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
        """[E] pT in GeV of the particle of each edge's first spacepoint; 0 where there is none."""
        particle = self.particle[edge_index[0]]
        known = self.pt[particle.clamp(min=0)] if len(self.pt) else self.pt.new_zeros(len(particle))
        return torch.where(particle >= 0, known, 0.0)

    def gap(self, edge_index: Tensor) -> Tensor:
        """[E] INT64: steps along the particle between an edge's two spacepoints; 0 where they have no common one."""
        row, col = edge_index[0], edge_index[1]
        same = (self.particle[row] == self.particle[col]) & (self.particle[row] != NO_PARTICLE)
        return torch.where(same, (self.order[row] - self.order[col]).abs(), 0)


def training_event(event: Event) -> TrainingEvent:
    """The event, which must have truth, as tensors."""
    assert event.truth is not None
    truth = event.truth
    particle = np.full(len(event), NO_PARTICLE, dtype=np.int64)
    order = np.zeros(len(event), dtype=np.int64)
    # Written backwards, so that the first of several particles of a spacepoint stays.
    particle[truth.spacepoint[::-1]] = truth.particle[::-1]
    order[truth.spacepoint[::-1]] = truth.order[::-1]
    return TrainingEvent(
        features=torch.from_numpy(features(event)),
        particle=torch.from_numpy(particle),
        order=torch.from_numpy(order),
        pt=torch.from_numpy(truth.particles.pt),
        true_edges=torch.from_numpy(true_edges(truth, len(event))),
    )


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
