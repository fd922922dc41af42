"""ACTS's ROOT files: `spacepoints.root`, with truth where `measurements.root` and `particles.root` are beside it.

The trees are those of `RootSpacePointWriter` (an entry for each spacepoint), `RootMeasurementWriter` (for each
measurement, with lists of the particles in it) and `RootParticleWriter` (for each event, of lists), in mm, GeV and e.
A measurement is named by its place among those of its event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exatrkx.errors import EventFormatError
from exatrkx.events.columns import POSITION
from exatrkx.events.event import (
    BARCODE_BITS,
    Event,
    Identifiers,
    Truth,
    generation,
    order_within,
    pack_barcodes,
    particle_table,
)
from exatrkx.events.readers.formats import made_events
from exatrkx.events.readers.joined import KINEMATICS, Beside, particles_of
from exatrkx.events.readers.paths import tell
from exatrkx.events.readers.tables import Table, Values, event_of_values, rows_of_events
from exatrkx.events.readers.truth_csv import made_spacepoints
from exatrkx.events.readers.whole_numbers import whole_numbers

if TYPE_CHECKING:
    from exatrkx.events.readers.formats import Skipped

_PLACES: Final = {name: name for name in POSITION}
_LINKS: Final = {
    "first": "measurement_id",
    "second": "measurement_id_2",
    "surface": "geometry_id",
    "other_surface": "geometry_id_2",
}
_BARCODE: Final = dict(
    zip(BARCODE_BITS, ("vertex_primary", "vertex_secondary", "particle", "generation", "sub_particle"), strict=True)
)
"""Numbers of a barcode, and the branches of particles that they are in."""
_VOLUME_BITS: Final = np.uint64(56)
"""Below the volume in ACTS's geometry identifier, which is its first 8 bits."""


def is_spacepoints(table: Table) -> bool:
    """Whether a tree is that of ACTS's spacepoints."""
    return {"event_id", *POSITION, *_LINKS.values()} <= {*table.names}


def files_beside(file: Path) -> list[Path]:
    """The measurements and the particles beside spacepoints; nothing unless both are there."""
    others = [file.with_name(file.name.replace("spacepoints", word)) for word in ("measurements", "particles")]
    return others if "spacepoints" in file.name and all(other.is_file() for other in others) else []


def read_spacepoints(
    file: Path, table: Table, beside: Sequence[tuple[Path, Table]], skipped: Skipped
) -> Iterator[Event]:
    """Events of spacepoints, with truth where measurements and particles are given.

    A spacepoint of one measurement belongs to every particle in it; one of two belongs to those in both. Primaries are
    the particles of generation 0; the order along a particle's way is that of the distance from its vertex.

    Raises:
        EventFormatError: a branch is missing or of another type, or an event has no measurements or particles.
    """
    found = _PLACES | _LINKS | {"event": "event_id"}
    others = [Beside(rows(*one)) for rows, one in zip((_measurements, _particles), beside, strict=False)]
    if not others:
        tell(f"{file}: no measurements.root and particles.root beside it: the truth is left out")

    def made(row: tuple[int, Values]) -> Event:
        number, values = row
        where = f"{file}: event {number}"
        event = event_of_values(where, number, values, _PLACES)
        rows = [other.of(number) for other in others]
        for (name, _), one in zip(beside, rows, strict=True):
            if one is None:
                raise EventFormatError(f"{name}: event {number} of {file.name} is not in it")
        return replace(event, truth=_truth(where, event, values, *rows)) if rows else event

    return made_events(rows_of_events(file, table, found), made, skipped)


def _measurements(file: Path, table: Table) -> Iterator[tuple[int, Values]]:
    found = {"event": "event_nr"} | {key: f"particles_{name}" for key, name in _BARCODE.items()}
    return rows_of_events(file, table, _required(file, table, found))


def _particles(file: Path, table: Table) -> Iterator[tuple[int, Values]]:
    usual = {name: name for name in KINEMATICS} | {"charge": "q", "pdg": "particle_type", "event": "event_id"}
    return rows_of_events(file, table, _required(file, table, _BARCODE | usual))


def _required(file: Path, table: Table, found: dict[str, str]) -> dict[str, str]:
    missing = [name for name in found.values() if name not in table.names]
    if missing:
        raise EventFormatError(f"{file}: branch {', '.join(map(repr, missing))} is missing")
    return found


def _truth(where: str, event: Event, values: Values, measurements: Any, particles: Any) -> Truth:
    links = {key: whole_numbers(values[key], pa.uint64(), f"{where}: branch {name!r}") for key, name in _LINKS.items()}
    sizes = np.asarray(pc.list_value_length(measurements["part"]))
    measurement = np.repeat(np.arange(len(sizes)), sizes).astype(np.uint64)
    made_by = _barcodes(where, {key: pc.list_flatten(measurements[key]) for key in _BARCODE})
    # The writer leaves the second measurement of an earlier spacepoint where there is none: that of other volumes.
    alone = links["surface"] >> _VOLUME_BITS != links["other_surface"] >> _VOLUME_BITS
    spacepoint, link = made_spacepoints(links["first"], links["second"], alone, measurement, made_by)
    barcodes = _barcodes(where, particles)
    listed = particles_of(barcodes, particles, generation(barcodes) == 0, where)
    table, particle = particle_table(listed, made_by[link])
    vertex = np.nan_to_num(np.stack([table.vx, table.vy, table.vz], axis=1).astype(np.float64))
    place = np.stack([event.x, event.y, event.z], axis=1)[spacepoint]
    order = order_within(particle, np.linalg.norm(place - vertex[particle], axis=1))
    return Truth(particles=table, spacepoint=spacepoint, particle=particle, order=order)


def _barcodes(where: str, columns: Values) -> Identifiers:
    numbers = [whole_numbers(columns[key], pa.uint64(), f"{where}: {name}") for key, name in _BARCODE.items()]
    try:
        return pack_barcodes(np.stack(numbers, axis=1))
    except ValueError as error:
        raise EventFormatError(f"{where}: barcode: {error}") from error
