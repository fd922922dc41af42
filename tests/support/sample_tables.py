"""Events for tables of other programs, with names of their own, and what must be read of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from exatrkx.events.event import Event

NAMES: Final = {
    "x": "sp_x",
    "y": "sp_y",
    "z": "sp_z",
    "event": "evt",
    "particle": "pid",
    "order": "when",
    "px": "mom_x",
    "py": "mom_y",
    "pz": "mom_z",
}
"""Columns by what they stand for."""

_MM: Final = {"mm": 1.0, "cm": 10.0, "m": 1000.0}


@dataclass(frozen=True)
class Sample:
    """An event as columns of one length; of 64-bit numbers."""

    number: int
    columns: dict[str, Any]
    unit: str


def samples(unit: str = "mm") -> list[Sample]:
    """Four events of 900, 1, 40 and 2000 spacepoints, whose particles are found again by counting."""
    return [_sample(number, size, unit) for number, size in ((3, 900), (5, 1), (6, 40), (9, 2000))]


def _sample(number: int, size: int, unit: str) -> Sample:
    random = np.random.default_rng([17, number])
    r, phi = random.uniform(32, 1000, size), random.uniform(-3, 3, size)
    if size > 1:
        r[0] = 32.0  # the innermost layer, or a part of a millimetre may pass for centimetres
    place = np.stack([r * np.cos(phi), r * np.sin(phi), random.uniform(-2500, 2500, size)]) / _MM[unit]
    columns = dict(zip(("sp_x", "sp_y", "sp_z"), place, strict=True))
    columns["evt"] = np.full(size, number)
    columns["pid"] = random.integers(-1, max(size // 8, 2), size) * (2**61 // size)
    columns["pid"][columns["pid"] < 0] = -1
    columns["when"] = random.permutation(size).astype(np.float64)
    columns |= {name: random.normal(size=size) for name in ("mom_x", "mom_y", "mom_z")}
    return Sample(number, columns, unit)


def same(event: Event, expected: Sample, *, momenta: bool = True) -> None:
    """Assert that an event is the expected one: positions in mm, and who made what, in which order."""
    assert event.event_id == expected.number
    for name in ("x", "y", "z"):
        place = expected.columns[f"sp_{name}"] * _MM[expected.unit]
        np.testing.assert_allclose(getattr(event, name), place, rtol=1e-6)
    made: dict[int, list[int]] = {}
    pid, when = (expected.columns[name].tolist() for name in ("pid", "when"))
    for spacepoint in sorted(range(len(pid)), key=lambda place: when[place]):
        if pid[spacepoint] not in (0, -1):
            made.setdefault(int(pid[spacepoint]), []).append(spacepoint)
    assert event.truth is not None
    particles = event.truth.particles
    assert particles.particle_id.tolist() == sorted(made)
    for index, (pid_of, spacepoints) in enumerate(sorted(made.items())):
        hits = event.truth.particle == index
        found = event.truth.spacepoint[hits][np.argsort(event.truth.order[hits])].tolist()
        assert (found if momenta else sorted(found)) == (spacepoints if momenta else sorted(spacepoints)), pid_of
        if momenta:
            expected_px = np.float32(expected.columns["mom_x"][spacepoints[0]])
            assert particles.px[index] == expected_px
