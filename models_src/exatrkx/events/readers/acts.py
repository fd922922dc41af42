"""ACTS CSV reader: spacepoints, and beside them measurements' hits and particles where they are known.

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
import pyarrow as pa

from exatrkx.errors import EventFormatError
from exatrkx.events.barcode import BITS, NOISE, generation, pack_barcodes
from exatrkx.events.event import Event, IntArray, Particles, Truth, order_within
from exatrkx.events.readers.csv_files import (
    FLOAT,
    IDENTIFIER,
    INTEGER,
    Columns,
    beside,
    first_line,
    read_columns,
    read_spacepoints,
    require_finite,
    require_unique,
)
from exatrkx.events.readers.particle_table import particle_table, take_momenta

PARTS: Final = ("measurement-simhit-map", "hits", "particles_simulated")

NO_MEASUREMENT: Final = 2**64 - 1
"""The second measurement of a spacepoint that has only one."""

_BARCODE: Final = tuple(f"particle_id_{name}" for name in BITS)
_MOMENTUM_AT_HIT: Final = ("tpx", "tpy", "tpz")
_KINEMATICS: Final = ("vx", "vy", "vz", "px", "py", "pz", "q")


def read_acts(file: Path) -> Event:
    """Read one event from `event…-spacepoint.csv`, with truth where the files of the table above are beside it.

    A spacepoint of one measurement belongs to every particle with a hit in it; one of two belongs to those with hits in
    both. Primaries are the particles of generation 0.

    Raises:
        EventFormatError: a column is missing, a value is of the wrong type, or the files do not fit together.
    """
    event = read_spacepoints(file)
    links, hits, particles = (beside(file, part) for part in PARTS)
    if links is None or hits is None or particles is None:
        return event
    return replace(event, truth=_truth(file, links, hits, particles))


def _truth(file: Path, links_file: Path, hits_file: Path, particles_file: Path) -> Truth:
    made_by, hits = _with_barcodes(hits_file, {"index": INTEGER}, dict.fromkeys(_MOMENTUM_AT_HIT, FLOAT))
    spacepoint, hit = _pairs(file, links_file, len(made_by), made_by)
    particles, particle = particle_table(_particles(particles_file), made_by[hit])
    order = order_within(particle, hits["index"][hit])
    if all(name in hits for name in _MOMENTUM_AT_HIT):
        momentum = np.stack([hits[name][hit] for name in _MOMENTUM_AT_HIT], axis=1).astype(np.float64)
        take_momenta(particles, particle, order, momentum)
    return Truth(particles=particles, spacepoint=spacepoint, particle=particle, order=order)


def _pairs(file: Path, links_file: Path, num_hits: int, made_by: npt.NDArray[np.uint64]) -> tuple[IntArray, IntArray]:
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
    spacepoint, chosen = _joined(first, measurement)
    second = columns.get("measurement_id_2", np.full(len(first), NO_MEASUREMENT, dtype=np.uint64))
    other, of_other = _joined(second, measurement)
    both = set(zip(other.tolist(), made_by[hit[of_other]].tolist(), strict=True))
    pairs = zip(spacepoint.tolist(), made_by[hit[chosen]].tolist(), strict=True)
    alone = (second == NO_MEASUREMENT)[spacepoint]
    kept = alone | np.fromiter((pair in both for pair in pairs), dtype=np.bool_, count=len(spacepoint))
    return spacepoint[kept], hit[chosen[kept]]


def _joined(wanted: npt.NDArray[np.generic], keys: npt.NDArray[np.generic]) -> tuple[IntArray, IntArray]:
    """[K] indices into both, one pair for each two equal entries."""
    along = np.argsort(keys, kind="stable")
    low, high = (np.searchsorted(keys[along], wanted, side=side) for side in ("left", "right"))
    count = high - low
    place = np.repeat(np.arange(len(wanted)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return place, along[np.repeat(low, count) + within]


def _particles(file: Path) -> Particles:
    barcodes, rows = _with_barcodes(file, {"particle_type": INTEGER} | dict.fromkeys(_KINEMATICS, FLOAT), {})
    require_unique("particle", barcodes, file)
    require_finite(file, rows, _KINEMATICS)
    values = {name: rows[name].astype(np.float32) for name in _KINEMATICS}
    return Particles(
        particle_id=barcodes,
        pdg=rows["particle_type"].astype(np.int32),
        charge=values.pop("q"),
        primary=generation(barcodes) == 0,
        **values,
    )


def _with_barcodes(
    file: Path, required: Mapping[str, pa.DataType], optional: Mapping[str, pa.DataType]
) -> tuple[npt.NDArray[np.uint64], Columns]:
    """The particle of each row, in one column as ACTS wrote it once or in five, and the other columns."""
    packed = "particle_id" in first_line(file).strip().split(",")
    names = ("particle_id",) if packed else _BARCODE
    rows = read_columns(file, dict.fromkeys(names, IDENTIFIER) | dict(required), optional)
    numbers = np.stack([rows[name].astype(np.uint64) for name in names], axis=1)
    try:
        return (numbers[:, 0] if packed else pack_barcodes(numbers)), rows
    except ValueError as error:
        raise EventFormatError(f"{file}: particle_id_{error}") from error
