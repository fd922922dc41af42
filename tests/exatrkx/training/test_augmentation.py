"""Data augmentation: symmetries that are kept, and faults that leave the truth right."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from exatrkx.events.parquet import read_events
from exatrkx.events.truth import true_edges
from exatrkx.training.augmentation import augment, without
from exatrkx.training.events import (
    NO_PARTICLE,
    TrainingEvent,
    load_training_events,
    part,
    sectors,
    sequential_edges,
    training_event,
)
from exatrkx.training.recipes import FAULTS, Faults

EVENTS = Path(__file__).parents[3] / "data" / "events" / "ttbar_mu0.parquet"


@pytest.fixture(scope="module")
def event() -> TrainingEvent:
    return load_training_events([EVENTS], limit=1)[0]


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def positions(event: TrainingEvent) -> torch.Tensor:
    """[N,3] in mm."""
    r, phi, z = 1000.0 * event.features[:, 0], math.pi * event.features[:, 1], 1000.0 * event.features[:, 2]
    return torch.stack((r * torch.cos(phi), r * torch.sin(phi), z), dim=1)


def lengths(event: TrainingEvent) -> torch.Tensor:
    """[T] distances in mm between the ends of the true edges."""
    row, col = positions(event)[event.true_edges]
    distances: torch.Tensor = torch.linalg.vector_norm(row - col, dim=1)
    return distances


def test_augmentation_keeps_radius_and_size_of_z_and_stays_in_range(event: TrainingEvent) -> None:
    turned = augment(event, generator())
    assert torch.equal(turned.features[:, 0], event.features[:, 0])
    assert torch.equal(turned.features[:, 2].abs(), event.features[:, 2].abs())
    assert (turned.features[:, 1].abs() <= 1.0).all()
    assert not torch.equal(turned.features, event.features)
    assert torch.allclose(lengths(turned), lengths(event), atol=1e-2)


def edges_by_hand(event: TrainingEvent, missed: list[bool]) -> set[tuple[int, int]]:
    """Edges between what is left of each track, where in the event itself no part of it is missing in between."""
    tracks: dict[int, list[tuple[int, int]]] = {}
    for place, (particles, orders) in enumerate(zip(event.particle.tolist(), event.order.tolist(), strict=True)):
        for particle, order in zip(particles, orders, strict=True):
            if particle != NO_PARTICLE:
                tracks.setdefault(particle, []).append((order, place))
    number = [sum(not gone for gone in missed[:place]) for place in range(len(missed))]
    found = set()
    for track in tracks.values():
        last = None
        whole = True
        for (order, place), (before, _) in zip(sorted(track)[1:], sorted(track)[:-1], strict=True):
            if last is None and not missed[dict(track)[before]]:
                last = dict(track)[before]
            whole = (whole or last is None) and order == before + 1
            if missed[place]:
                continue
            if last is not None and whole:
                found.add((max(number[last], number[place]), min(number[last], number[place])))
            last, whole = place, True
    return found


def merged(event: TrainingEvent, every: int) -> TrainingEvent:
    """The event with each `every`-th spacepoint merged into the one before it, of another particle, say."""
    gone = torch.zeros(len(event), dtype=torch.bool)
    gone[1::every] = True
    partners = torch.nonzero(gone).squeeze(1) - 1
    particle, order = event.particle.clone(), event.order.clone()
    other = particle[partners, 0] != particle[partners + 1, 0]
    particle[partners[other], 1], order[partners[other], 1] = (
        particle[partners[other] + 1, 0],
        order[partners[other] + 1, 0],
    )
    left = part(replace(event, particle=particle, order=order), ~gone)
    return replace(left, true_edges=sequential_edges(left.particle, left.order))


def common_by_hand(event: TrainingEvent, row: int, col: int) -> tuple[int, float]:
    """Gap and pT of one edge."""
    of_row, of_col = (
        {p: o for p, o in zip(event.particle[end].tolist(), event.order[end].tolist(), strict=True) if p != NO_PARTICLE}
        for end in (row, col)
    )
    gaps = [(abs(of_row[p] - of_col[p]), p) for p in of_row if p in of_col and of_row[p] != of_col[p]]
    gap, particle = min(gaps, key=lambda found: found[0], default=(0, NO_PARTICLE))  # of equal ones the first
    return gap, float(event.pt[particle]) if gap else 0.0


def test_a_merged_spacepoint_is_of_both_particles(event: TrainingEvent) -> None:
    shared = merged(event, 3)
    assert (shared.particle[:, 1] != NO_PARTICLE).sum() > 100
    everything = torch.combinations(torch.arange(0, len(shared), 7)).T
    edges = torch.cat((shared.true_edges, shared.true_edges.flip(0), everything[:, ::50]), dim=1)
    gaps, pts = shared.gap(edges).tolist(), shared.edge_pt(edges).tolist()
    by_hand = [common_by_hand(shared, row, col) for row, col in edges.T.tolist()]
    assert gaps == [gap for gap, _ in by_hand]
    assert pts == [pt for _, pt in by_hand]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("lost", [0.0, 0.2, 0.6, 1.0])
def test_a_track_goes_on_at_its_next_spacepoint(event: TrainingEvent, lost: float, *, shared: bool) -> None:
    event = merged(event, 4) if shared else event
    sector = sectors(event, len(event) // 3)[0]  # there tracks have gaps, which stay gaps
    missed = torch.rand(len(sector), generator=generator()) < lost
    left = without(sector, missed)
    assert torch.equal(left.features, sector.features[~missed])
    assert torch.equal(left.particle, sector.particle[~missed])
    assert {tuple(edge) for edge in left.true_edges.T.tolist()} == edges_by_hand(sector, missed.tolist())
    assert (left.gap(left.true_edges) == 1).all()
    assert (left.true_edges[0] > left.true_edges[1]).all()


def test_true_edges_are_those_of_the_truth() -> None:
    for event in read_events(EVENTS):
        assert event.truth is not None
        edges = true_edges(event.truth, len(event))
        found = training_event(event).true_edges.numpy()
        assert np.array_equal(found, edges)


def test_noise_is_of_nobody_and_lies_on_modules(event: TrainingEvent) -> None:
    noisy = augment(event, generator(), Faults(share=1.0, noise=0.5))
    extra = len(noisy) - len(event)
    assert 0 < extra <= 0.5 * len(event)
    assert torch.equal(noisy.particle[: len(event)], event.particle)
    assert (noisy.particle[len(event) :] == NO_PARTICLE).all()
    assert torch.equal(noisy.true_edges, event.true_edges)
    nearest = (noisy.features[len(event) :, :1] - event.features[:, 0]).abs().amin(dim=1)
    assert nearest.max() < 1e-6, "m"
    pairs = torch.stack((torch.arange(len(event), len(noisy)), torch.arange(extra)))
    assert (noisy.gap(pairs) == 0).all()


def test_a_shifted_beam_line_moves_all_spacepoints_alike(event: TrainingEvent) -> None:
    shifted = augment(event, generator(), Faults(share=1.0, shift=3.0))
    turned = augment(event, generator(), Faults(share=1.0))  # by the same angle
    step = (positions(shifted) - positions(turned)).double()
    assert 0.1 < step[0].norm() < 3.0
    assert torch.allclose(step, step[:1].expand_as(step), atol=2e-3)
    assert torch.allclose(lengths(shifted), lengths(event), atol=1e-2)


def test_smearing_is_across_and_along_the_beam(event: TrainingEvent) -> None:
    smeared = augment(event, generator(), Faults(share=1.0, smearing=0.2))
    ideal = augment(event, generator(), Faults(share=1.0))
    assert torch.allclose(smeared.features[:, 0], ideal.features[:, 0], atol=1e-6)
    step = positions(smeared) - positions(ideal)
    across, along = (one.square().sum(dim=1).mean().sqrt().item() for one in (step[:, :2], step[:, 2:]))
    assert 0.0 < across < 0.2
    assert across == pytest.approx(along, rel=0.1)


def test_the_seed_decides_and_a_share_stays_ideal(event: TrainingEvent) -> None:
    first, same, other = (augment(event, generator(seed), replace(FAULTS, share=1.0)) for seed in (1, 1, 2))
    assert first.hash == same.hash != other.hash
    ideal = sum(len(augment(event, generator(seed), FAULTS)) == len(event) for seed in range(40))
    assert 10 <= ideal <= 30
    assert augment(event, generator()).hash == augment(event, generator(), Faults()).hash


@pytest.mark.parametrize("lost", [0.0, 1.0])
def test_nothing_is_left_of_nothing(event: TrainingEvent, lost: float) -> None:
    none = without(event, torch.ones(len(event), dtype=torch.bool))
    assert len(none) == none.true_edges.shape[1] == 0
    assert len(augment(none, generator(), Faults(share=1.0, lost=lost, noise=1.0, shift=1.0, smearing=1.0))) == 0
