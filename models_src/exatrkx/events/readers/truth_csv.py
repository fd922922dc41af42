"""CSV readers of events with truth: TrackML (hits, truth, particles) and ACTS (spacepoints and what they were made of).

TrackML's columns: https://www.kaggle.com/competitions/trackml-particle-identification/data (mm, GeV, charge in e).
Of ACTS these files are read:

| file of an event | what is read of it |
|---|---|
| `-spacepoint.csv` | `x`, `y`, `z`, `measurement_id_1`, `measurement_id_2` |
| `-measurement-simhit-map.csv` | the hits of each measurement: several where clusters merged |
| `-hits.csv` | the particle of each simulated hit, its place along the particle, and the momentum there |
| `-particles_simulated.csv` | the particles; of those that it lacks nothing but the hits is known |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from exatrkx.errors import EventFormatError
from exatrkx.events.columns import POSITION
from exatrkx.events.event import (
    BARCODE_BITS,
    NOISE,
    Event,
    Identifiers,
    IntArray,
    Particles,
    Truth,
    generation,
    order_within,
    pack_barcodes,
    particle_table,
    take_momenta,
)
from exatrkx.events.readers.csv_files import (
    FLOAT,
    IDENTIFIER,
    INTEGER,
    PARTICLE,
    Cell,
    Columns,
    event_number,
    read_columns,
    read_spacepoints,
    require_finite,
    require_unique,
)
from exatrkx.events.readers.formats import header_of
from exatrkx.events.readers.paths import ACTS_PARTS, beside

NO_MEASUREMENT: Final = 2**64 - 1
"""The second measurement of an ACTS spacepoint that has only one."""

AnyArray = npt.NDArray[np.generic]

_BARCODE: Final = tuple(f"particle_id_{name}" for name in BARCODE_BITS)
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
        truth=None if truth_file is None else _trackml_truth(truth_file, hits, hits_file),
    )


def _trackml_truth(file: Path, hits: Columns, hits_file: Path) -> Truth:
    optional = dict.fromkeys((*_TRUE_POSITION, *_MOMENTUM_AT_HIT), FLOAT)
    rows = read_columns(file, required={"hit_id": INTEGER, "particle_id": PARTICLE}, optional=optional)
    made = rows["particle_id"] != NOISE
    rows = {name: column[made] for name, column in rows.items()}
    spacepoint = _places("hit_id", rows["hit_id"], file, hits["hit_id"], hits_file)
    known_position = all(name in rows for name in _TRUE_POSITION)
    place = _stack(rows, _TRUE_POSITION) if known_position else _stack(hits, POSITION)[spacepoint]

    particles_file = beside(hits_file, "particles")
    listed = None if particles_file is None else _trackml_particles(particles_file)
    particles, particle = particle_table(listed, rows["particle_id"].astype(np.uint64))
    vertex = np.nan_to_num(np.stack([particles.vx, particles.vy, particles.vz], axis=1).astype(np.float64))
    order = order_within(particle, np.linalg.norm(place - vertex[particle], axis=1))
    if all(name in rows for name in _MOMENTUM_AT_HIT):
        take_momenta(particles, particle, order, _stack(rows, _MOMENTUM_AT_HIT))
    return Truth(particles=particles, spacepoint=spacepoint, particle=particle, order=order)


def _trackml_particles(file: Path) -> Particles:
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


def read_acts(file: Path) -> Event:
    """Read one event from `event…-spacepoint.csv`, with truth where the files of the table above are beside it.

    A spacepoint of one measurement belongs to every particle with a hit in it; one of two belongs to those with hits in
    both. Primaries are the particles of generation 0.

    Raises:
        EventFormatError: a column is missing, a value is of the wrong type, or the files do not fit together.
    """
    event = read_spacepoints(file)
    links, hits, particles = (beside(file, part) for part in ACTS_PARTS)
    if links is None or hits is None or particles is None:
        return event
    return replace(event, truth=_acts_truth(file, links, hits, particles))


def _acts_truth(file: Path, links_file: Path, hits_file: Path, particles_file: Path) -> Truth:
    made_by, hits = _with_barcodes(hits_file, {"index": INTEGER}, dict.fromkeys(_MOMENTUM_AT_HIT, FLOAT))
    spacepoint, hit = _pairs(file, links_file, len(made_by), made_by)
    particles, particle = particle_table(_acts_particles(particles_file), made_by[hit])
    order = order_within(particle, hits["index"][hit])
    if all(name in hits for name in _MOMENTUM_AT_HIT):
        take_momenta(particles, particle, order, _stack(hits, _MOMENTUM_AT_HIT)[hit])
    return Truth(particles=particles, spacepoint=spacepoint, particle=particle, order=order)


def _pairs(file: Path, links_file: Path, num_hits: int, made_by: Identifiers) -> tuple[IntArray, IntArray]:
    """[H] spacepoint and hit of each pair of them; hits of no particle make none."""
    links = read_columns(links_file, {"measurement_id": IDENTIFIER, "hit_id": INTEGER}, {})
    hit = links["hit_id"].astype(np.int64)
    if len(hit) and not 0 <= hit.min() <= hit.max() < num_hits:
        raise EventFormatError(
            f"{links_file}: hit_id must be a row of the {num_hits} of the hits, found {hit.min()} … {hit.max()}"
        )
    made = made_by[hit] != NOISE
    hit, measurement = hit[made], links["measurement_id"][made]
    columns = read_columns(file, {"measurement_id_1": IDENTIFIER}, {"measurement_id_2": IDENTIFIER})
    first = columns["measurement_id_1"]
    second = columns.get("measurement_id_2", np.full(len(first), NO_MEASUREMENT, dtype=np.uint64))
    spacepoint, link = made_spacepoints(first, second, second == NO_MEASUREMENT, measurement, made_by[hit])
    return spacepoint, hit[link]


def made_spacepoints(
    first: AnyArray, second: AnyArray, alone: npt.NDArray[np.bool_], measurement: AnyArray, made_by: Identifiers
) -> tuple[IntArray, IntArray]:
    """Who made which spacepoint: one of one measurement whoever made that, one of two who made both.

    Args:
        first: [N] measurement of each spacepoint.
        second: [N] the other one.
        alone: [N] whether it has the first one only.
        measurement: [L] of each link of a measurement and a particle.
        made_by: [L] the particle.

    Returns:
        [H] spacepoint, and [H] link of its first measurement.
    """
    spacepoint, chosen = _joined(first, measurement)
    other, of_other = _joined(second, measurement)
    both = set(zip(other.tolist(), made_by[of_other].tolist(), strict=True))
    pairs = zip(spacepoint.tolist(), made_by[chosen].tolist(), strict=True)
    kept = alone[spacepoint] | np.fromiter((pair in both for pair in pairs), dtype=np.bool_, count=len(spacepoint))
    return spacepoint[kept], chosen[kept]


def _joined(wanted: AnyArray, keys: AnyArray) -> tuple[IntArray, IntArray]:
    """[K] indices into both, one pair for each two equal entries."""
    along = np.argsort(keys, kind="stable")
    low, high = (np.searchsorted(keys[along], wanted, side=side) for side in ("left", "right"))
    count = high - low
    place = np.repeat(np.arange(len(wanted)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return place, along[np.repeat(low, count) + within]


def _acts_particles(file: Path) -> Particles:
    barcodes, rows = _with_barcodes(
        file, {"particle_type": INTEGER} | dict.fromkeys((*_VERTEX, *_MOMENTUM, "q"), FLOAT), {}
    )
    require_unique("particle", barcodes, file)
    require_finite(file, rows, (*_VERTEX, *_MOMENTUM, "q"))
    values = {name: rows[name].astype(np.float32) for name in (*_VERTEX, *_MOMENTUM)}
    return Particles(
        particle_id=barcodes,
        pdg=rows["particle_type"].astype(np.int32),
        charge=rows["q"].astype(np.float32),
        primary=generation(barcodes) == 0,
        **values,
    )


def _with_barcodes(
    file: Path, required: Mapping[str, Cell], optional: Mapping[str, Cell]
) -> tuple[Identifiers, Columns]:
    """The particle of each row, in one column as ACTS wrote it once or in five, and the other columns."""
    packed = "particle_id" in header_of(file).names
    names = ("particle_id",) if packed else _BARCODE
    rows = read_columns(file, dict.fromkeys(names, PARTICLE if packed else IDENTIFIER) | dict(required), optional)
    numbers = np.stack([rows[name].astype(np.uint64) for name in names], axis=1)
    try:
        return (numbers[:, 0] if packed else pack_barcodes(numbers)), rows
    except ValueError as error:
        raise EventFormatError(f"{file}: particle_id_{error}") from error
