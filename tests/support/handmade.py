"""Small events whose truth is written out by hand, for the tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exatrkx.events.event import Event, Particles, Truth


def particles(
    count: int,
    *,
    pt: Sequence[float] | None = None,
    eta: Sequence[float] | None = None,
    charge: Sequence[float] | None = None,
    pdg: Sequence[int] | None = None,
    primary: Sequence[bool] | None = None,
) -> Particles:
    """Particles from the origin; where nothing is said, pions of pT = 2 GeV at η = 0 with charge 1."""
    pt_values = np.asarray(pt if pt is not None else [2.0] * count, dtype=np.float32)
    eta_values = np.asarray(eta if eta is not None else [0.0] * count, dtype=np.float32)
    zeros = np.zeros(count, dtype=np.float32)
    return Particles(
        particle_id=np.arange(1, count + 1, dtype=np.uint64),
        pdg=np.asarray(pdg if pdg is not None else [211] * count, dtype=np.int32),
        charge=np.asarray(charge if charge is not None else [1.0] * count, dtype=np.float32),
        vx=zeros,
        vy=zeros,
        vz=zeros,
        px=pt_values,
        py=zeros,
        pz=pt_values * np.sinh(eta_values),
        primary=np.asarray(primary if primary is not None else [True] * count, dtype=np.bool_),
    )


def event(num_spacepoints: int, ways: Sequence[Sequence[int]], made_by: Particles | None = None) -> Event:
    """An event in which particle p passed the spacepoints `ways[p]`, in that order, on a line along x."""
    owners = [p for p, way in enumerate(ways) for _ in way]
    orders = [o for way in ways for o in range(len(way))]
    hits = [hit for way in ways for hit in way]
    x = np.arange(num_spacepoints, dtype=np.float32) + 30
    return Event(
        event_id=7,
        x=x,
        y=np.zeros_like(x),
        z=np.zeros_like(x),
        truth=Truth(
            particles=made_by if made_by is not None else particles(len(ways)),
            spacepoint=np.asarray(hits, dtype=np.int64),
            particle=np.asarray(owners, dtype=np.int64),
            order=np.asarray(orders, dtype=np.int64),
        ),
    )


def truth(num_spacepoints: int, ways: Sequence[Sequence[int]], made_by: Particles | None = None) -> Truth:
    """The truth of `event`."""
    made = event(num_spacepoints, ways, made_by).truth
    assert made is not None
    return made
