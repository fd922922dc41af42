"""The GNN's cut, chosen on events whose best cut can be told by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import handmade
import pytest
import torch
from torch import Tensor

from exatrkx.performance.metrics import TrackMetrics
from exatrkx.training.choose import choose_gnn_cut
from exatrkx.training.events import TrainingEvent, training_event
from exatrkx.working_point import WorkingPoint, logit

if TYPE_CHECKING:
    from exatrkx.events.event import Event
    from exatrkx.networks.triplet_network import TripletNetwork

POINT = WorkingPoint(radius=1.0, max_neighbors=10, filter_cut=0.1, gnn_cut=0.5)
TRACKS = [list(range(first, first + 7)) for first in range(0, 28, 7)]
NOISE = [28, 29, 30]

Pair = tuple["Event", TrainingEvent]


def pair(num_spacepoints: int) -> Pair:
    """Four particles of seven spacepoints each, and noise."""
    event = handmade.event(num_spacepoints, TRACKS)
    return event, training_event(event)


def graph(features: Tensor) -> Tensor:
    """[2,E] edges along the four tracks, and, if it is there, along the noise."""
    ways = [*TRACKS, NOISE][: 5 if len(features) > NOISE[0] else 4]
    return torch.tensor([(way[place + 1], way[place]) for way in ways for place in range(len(way) - 1)]).T


def gnn(features: Tensor, edge_index: Tensor) -> Tensor:
    """Without noise three of four tracks are doubtful; with it all are certain, and the noise is likely."""
    noisy = len(features) > NOISE[0]
    probability = torch.full((edge_index.shape[1],), 0.88)
    inner = edge_index[1]
    probability[(inner >= NOISE[0]) if noisy else (inner >= TRACKS[1][0])] = 0.68 if noisy else 0.48
    return torch.logit(probability)


def certain_of_nothing(_features: Tensor, edge_index: Tensor) -> Tensor:
    return torch.full((edge_index.shape[1],), logit(0.01))


NETWORK = cast("TripletNetwork", gnn)
LOW, HIGH = 0.1, 0.7
"""The first cut that keeps the doubtful tracks, and the first above the noise."""


def test_every_sample_counts_the_same_however_many_events_it_has() -> None:
    few, many = [pair(28)], [pair(31)] * 15
    cut, figures = choose_gnn_cut(NETWORK, graph, [few, many], POINT)
    assert cut == LOW
    assert [one.efficiency_double_majority.value for one in figures] == [1.0, 1.0]
    assert [(one.fake_rate.numerator, one.fake_rate.denominator) for one in figures] == [(0, 4), (15, 75)]
    together, figures = choose_gnn_cut(NETWORK, graph, [few + many], POINT)
    assert together == HIGH
    assert (figures[0].efficiency_double_majority.numerator, figures[0].fake_rate.numerator) == (61, 0)


@pytest.mark.parametrize("samples", [[[]], [[pair(28)]], [[pair(28)], []], [[pair(28)], [pair(31)]]])
def test_where_nothing_is_found_the_cut_is_in_the_middle(samples: list[list[Pair]]) -> None:
    cut, figures = choose_gnn_cut(cast("TripletNetwork", certain_of_nothing), graph, samples, POINT)
    assert cut == 0.5
    assert figures == [TrackMetrics.zero()] * len(samples)
