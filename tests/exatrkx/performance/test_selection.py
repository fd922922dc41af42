"""Named samples of particles, their borders, and the distance to the nearest particle, against loops."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import handmade
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exatrkx.events.event import Event
from exatrkx.events.parquet import read_events
from exatrkx.events.truth import require_truth
from exatrkx.performance.isolation import distance_to_nearest
from exatrkx.performance.selection import SELECTIONS, TARGET, ParticleSelection, leaves_track

EVENTS = Path(__file__).parents[3] / "data" / "events" / "ttbar_mu10.parquet"


def produced_at(radii: list[float], pt: list[float], pdg: list[int]) -> Event:
    """Particles of eight spacepoints each, produced at these distances from the axis."""
    ways = [list(range(8 * p, 8 * p + 8)) for p in range(len(radii))]
    made_by = handmade.particles(len(radii), pt=pt, pdg=pdg)
    made_by = replace(made_by, vx=np.asarray(radii, dtype=np.float32))
    return handmade.event(8 * len(radii), ways, made_by)


def test_named_samples_and_their_borders() -> None:
    below, above = float(np.nextafter(np.float32(300), np.float32(0))), 300.0
    event = produced_at(
        [0.0, 0.0, 0.0, 0.0, 30.0, below, above, 5.0, math.nan],
        [0.5, 0.75, 1.0, 1.25, 2.0, 2.0, 2.0, 2.0, 2.0],
        [211, 211, 211, 211, 211, 211, 211, -11, 211],
    )
    chosen = {name: np.flatnonzero(selection.mask(event)).tolist() for name, selection in SELECTIONS.items()}
    assert chosen == {"standard": [3, 4, 5, 6, 7, 8], "soft": [1, 2], "displaced": [4, 5], "electrons": [7]}


def test_samples_of_real_events_are_what_a_loop_chooses() -> None:
    event = next(read_events(EVENTS, [0]))
    truth = require_truth(event)
    particles = truth.particles
    chosen: dict[str, list[int]] = {name: [] for name in SELECTIONS}
    for p in range(len(particles)):
        hits = len(set(truth.spacepoint[truth.particle == p].tolist()))
        pt = math.hypot(particles.px[p], particles.py[p])
        eta = math.asinh(particles.pz[p] / pt) if pt else math.inf
        assert leaves_track(event)[p] == (hits >= 5)
        if hits < 7 or abs(eta) >= 3 or not particles.primary[p] or not particles.charge[p]:
            continue
        if 0.5 < pt <= 1.0:
            chosen["soft"].append(p)
        if pt > 1.0:
            chosen["standard"].append(p)
            if 30.0 <= math.hypot(particles.vx[p], particles.vy[p]) < 300.0:
                chosen["displaced"].append(p)
            if abs(int(particles.pdg[p])) == 11:
                chosen["electrons"].append(p)
    assert {name: np.flatnonzero(one.mask(event)).tolist() for name, one in SELECTIONS.items()} == chosen
    assert all(chosen[name] for name in ("standard", "soft", "displaced"))


def test_a_selection_says_what_it_chooses() -> None:
    assert str(SELECTIONS["standard"]) == "charged primaries with pT > 1 GeV, |η| < 3, ≥ 7 spacepoints"
    assert str(SELECTIONS["soft"]).endswith(", pT ≤ 1 GeV")
    assert "30 – 300 mm" in str(SELECTIONS["displaced"])


def directed(eta: list[float], phi: list[float], hits: list[int]) -> Event:
    """Particles of 2 GeV in these directions, each with so many spacepoints."""
    made_by = handmade.particles(len(eta))
    phis = np.asarray(phi)
    made_by = replace(
        made_by,
        px=(2 * np.cos(phis)).astype(np.float32),
        py=(2 * np.sin(phis)).astype(np.float32),
        pz=(2 * np.sinh(np.asarray(eta))).astype(np.float32),
    )
    starts = np.cumsum([0, *hits])
    ways = [list(range(start, stop)) for start, stop in pairwise(starts)]
    return handmade.event(int(starts[-1]), ways, made_by)


@given(
    st.lists(st.tuples(st.floats(-4, 4), st.floats(-math.pi, math.pi), st.integers(3, 7), st.booleans()), max_size=12)
)
@settings(derandomize=True, deadline=None, max_examples=200)
def test_distance_is_the_least_of_all(particles: list[tuple[float, float, int, bool]]) -> None:
    event = directed([p[0] for p in particles], [p[1] for p in particles], [p[2] for p in particles])
    chosen = [i for i, p in enumerate(particles) if p[3]]
    expected = []
    for i in chosen:
        distances = [math.inf]
        for j, (eta, phi, hits, _) in enumerate(particles):
            if j != i and hits >= 5:
                turn = math.remainder(phi - particles[i][1], 2 * math.pi)
                distances.append(math.hypot(eta - particles[i][0], turn))
        expected.append(min(distances))
    found = distance_to_nearest(event, np.array([p[3] for p in particles], dtype=np.bool_))
    assert found.tolist() == pytest.approx(expected, abs=2e-6)


def test_many_particles_over_the_seam() -> None:
    """More than one block of rows, and neighbours on both sides of φ = ±π."""
    phi = np.linspace(-math.pi, math.pi, 601)[:-1]
    event = directed([0.5] * 600, phi.tolist(), [5] * 600)
    found = distance_to_nearest(event, np.ones(600, dtype=np.bool_))
    assert found == pytest.approx(2 * math.pi / 600, abs=1e-5)


def test_no_direction_and_nobody_else() -> None:
    along = directed([0.0, 0.0, 0.0], [0.0, 1.0, 2.0], [5, 5, 4])
    particles = require_truth(along).particles
    particles.px[1], particles.py[1] = 0.0, 0.0  # along the beam: η = NaN, for pz is 0, too
    found = distance_to_nearest(along, np.array([True, True, True]))
    assert found[0] == math.inf
    assert math.isnan(found[1])
    assert found[2] == pytest.approx(2.0, abs=1e-6)
    assert distance_to_nearest(along, np.zeros(3, dtype=np.bool_)).shape == (0,)
    assert distance_to_nearest(handmade.event(0, []), np.zeros(0, dtype=np.bool_)).shape == (0,)


def test_a_vertex_that_is_not_known_is_no_displaced_one() -> None:
    event = produced_at([math.nan], [2.0], [211])
    assert TARGET.mask(event).tolist() == [True]
    assert ParticleSelection(max_radius=300.0).mask(event).tolist() == [False]
