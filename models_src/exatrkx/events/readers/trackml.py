"""TrackML CSV reader: hits, and beside them truth and particles where they are known.

Columns and units: https://www.kaggle.com/competitions/trackml-particle-identification/data (mm, GeV, charge in e).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from exatrkx.errors import EventFormatError
from exatrkx.events.event import Event, IntArray, Particles, Truth, order_within
from exatrkx.events.readers.csv_files import (
    FLOAT,
    IDENTIFIER,
    INTEGER,
    POSITION,
    Columns,
    beside,
    event_number,
    read_columns,
    require_finite,
    require_unique,
)
from exatrkx.events.readers.particle_table import particle_table, take_momenta

PARTS: Final = ("truth", "particles")
"""What is read beside the hits."""

NOISE: Final = 0
"""The particle_id of a hit that no particle made."""

AnyArray = npt.NDArray[np.generic]

_TRUE_POSITION: Final = ("tx", "ty", "tz")
_MOMENTUM_AT_HIT: Final = ("tpx", "tpy", "tpz")
_VERTEX: Final = ("vx", "vy", "vz")
_MOMENTUM: Final = ("px", "py", "pz")


def read_trackml(hits_file: Path) -> Event:
    """Read one event from `event…-hits.csv`, and from `-truth.csv` and `-particles.csv` beside it where they exist.

    - Each hit is a spacepoint, and belongs to the particle of its row of the truth; to several where it has several
      rows, to none without a row or with `particle_id` 0.
    - The order along a particle's way is that of the distance from its vertex (from the origin, when no vertex is
      known) to the true position (`tx`, `ty`, `tz`; to the measured one, when that is not in the file). A particle
      that curls back through a layer gets that part of its way in the wrong order: the files hold no time.
    - All particles of these files come from the generator, so they are primary unless a column `primary` says
      otherwise. A column `particle_type`, which some versions have, is taken as the PDG code; it is 0 else.
    - Particles that are not in `-particles.csv`, or all of them without it, are those of the truth: momentum as at the
      first hit, vertex NaN, charge NaN, which is not 0, for what makes hits is charged. Beside listed ones they are no
      primaries, and so in no efficiency; a candidate of their hits is no fake.

    Raises:
        EventFormatError: a column is missing, a value is of the wrong type, or the files do not fit together.
    """
    hits = read_columns(hits_file, required={"hit_id": INTEGER} | dict.fromkeys(POSITION, FLOAT), optional={})
    require_finite(hits_file, hits, POSITION)
    truth_file = beside(hits_file, "truth")
    x, y, z = (hits[name].astype(np.float32) for name in POSITION)
    return Event(
        event_id=event_number(hits_file),
        x=x,
        y=y,
        z=z,
        truth=None if truth_file is None else _read_truth(truth_file, hits, hits_file),
    )


def _read_truth(file: Path, hits: Columns, hits_file: Path) -> Truth:
    optional = dict.fromkeys((*_TRUE_POSITION, *_MOMENTUM_AT_HIT), FLOAT)
    rows = read_columns(file, required={"hit_id": INTEGER, "particle_id": IDENTIFIER}, optional=optional)
    made = rows["particle_id"] != NOISE
    rows = {name: column[made] for name, column in rows.items()}
    spacepoint = _places("hit_id", rows["hit_id"], file, hits["hit_id"], hits_file)
    known_position = all(name in rows for name in _TRUE_POSITION)
    place = _stack(rows, _TRUE_POSITION) if known_position else _stack(hits, POSITION)[spacepoint]

    particles_file = beside(hits_file, "particles")
    listed = None if particles_file is None else _read_particles(particles_file)
    particles, particle = particle_table(listed, rows["particle_id"].astype(np.uint64))
    vertex = np.nan_to_num(np.stack([particles.vx, particles.vy, particles.vz], axis=1).astype(np.float64))
    order = order_within(particle, np.linalg.norm(place - vertex[particle], axis=1))
    if all(name in rows for name in _MOMENTUM_AT_HIT):
        take_momenta(particles, particle, order, _stack(rows, _MOMENTUM_AT_HIT))
    return Truth(particles=particles, spacepoint=spacepoint, particle=particle, order=order)


def _read_particles(file: Path) -> Particles:
    required = {"particle_id": IDENTIFIER} | dict.fromkeys((*_VERTEX, *_MOMENTUM, "q"), FLOAT)
    rows = read_columns(file, required, optional={"particle_type": INTEGER, "primary": INTEGER})
    require_finite(file, rows, (*_VERTEX, *_MOMENTUM, "q"))
    count = len(rows["particle_id"])
    require_unique("particle_id", rows["particle_id"], file)
    return Particles(
        particle_id=rows["particle_id"].astype(np.uint64),
        pdg=rows.get("particle_type", np.zeros(count)).astype(np.int32),
        charge=rows["q"].astype(np.float32),
        primary=rows.get("primary", np.ones(count)).astype(np.bool_),
        **{name: rows[name].astype(np.float32) for name in (*_VERTEX, *_MOMENTUM)},
    )


def _places(name: str, wanted: AnyArray, file: Path, known: AnyArray, known_file: Path) -> IntArray:
    """Index into `known` of each of `wanted`, the columns `name` of their files."""
    require_unique(name, known, known_file)
    values, first = np.unique(known, return_index=True)
    lost = np.flatnonzero(~np.isin(wanted, values))
    if lost.size:
        raise EventFormatError(f"{file}: {name} {wanted[lost[0]]} is not in {known_file.name}")
    places: IntArray = first[np.searchsorted(values, wanted)].astype(np.int64)
    return places


def _stack(columns: Columns, names: tuple[str, ...]) -> npt.NDArray[np.float64]:
    return np.stack([columns[name].astype(np.float64) for name in names], axis=1)
