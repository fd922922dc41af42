"""Loss weights of edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from exatrkx.training.events import TrainingEvent

TARGET_PT: Final = 1.0
"""GeV: what the figures of merit count begins here."""

LOWEST_WEIGHT: Final = 0.05
"""Soft particles still count: their edges, if lost, become fragments and fakes."""

SKIPPING_WEIGHT: Final = 0.5
"""Of an edge that joins two spacepoints of a particle but skips one or more: a spare link, not a needed one."""


def pt_weight(pt: Tensor) -> Tensor:
    """Weight of a true edge by its particle's pT in GeV: rising as its square to 1 at 1 GeV, never below 0.05."""
    return torch.clamp((pt / TARGET_PT).square(), LOWEST_WEIGHT, 1.0)


def edge_weight(event: TrainingEvent, edge_index: Tensor, gap: Tensor) -> Tensor:
    """[E] weights for classification: true edges by pT and by what they skip, wrong edges 1."""
    true = pt_weight(event.edge_pt(edge_index)) * torch.where(gap > 1, SKIPPING_WEIGHT, 1.0)
    return torch.where(gap > 0, true, 1.0)
