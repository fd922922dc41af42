"""ColliderML release-1 Parquet: `tracker_hits`, a row of lists for each event, and `particles` beside it.

https://huggingface.co/datasets/CERN/ColliderML-Release-1, and the schemas of ACTS's `ColliderMLRelease1InputConverter`:
mm, GeV and e; `particle_id` of a hit is that of the table of particles, or 2⁶⁴ − 1 for none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exatrkx.errors import EventFormatError
from exatrkx.events.columns import POSITION
from exatrkx.events.event import Event, Truth, order_within, particle_table
from exatrkx.events.readers.formats import made_events
from exatrkx.events.readers.joined import KINEMATICS, Beside, flags, particles_of
from exatrkx.events.readers.paths import tell
from exatrkx.events.readers.tables import Table, Values, event_of_values, floats, is_list, rows_of_events
from exatrkx.events.readers.whole_numbers import whole_numbers

if TYPE_CHECKING:
    from exatrkx.events.readers.formats import Skipped

NO_PARTICLE: Final = np.uint64(2**64 - 1)
"""`particle_id` of a hit, and `majority_particle_id` of a track, of none."""

_PLACES: Final = {name: name for name in POSITION}
_HITS: Final = _PLACES | {"particle_id": "particle_id", "time": "time", "event": "event_id"}
_MARKS: Final = {*_HITS.values(), "volume_id", "surface_id"}
"""Columns by which the hits are known."""
_PARTICLES: Final = {"particle_id": "particle_id", "event": "event_id", "pdg": "pdg_id"} | {n: n for n in KINEMATICS}
_TRUE_PLACES: Final = {f"true_{name}": f"true_{name}" for name in POSITION}
_ANCESTRY: Final = ("primary", "parent_id")
"""One of these says whether the generator made a particle."""


def is_hits(table: Any) -> bool:
    """Whether an open Parquet file is a table of hits."""
    return {*table.names} >= _MARKS and is_list(table.parquet.schema_arrow.field("x").type)


def particles_file(file: Path) -> Path | None:
    """The particles beside the hits: another folder or another file, named `particles` instead of `tracker_hits`."""
    for word in ("tracker_hits", "hits"):
        folder = file.parent.name.replace(word, "particles")
        other = (file.absolute().parent.parent / folder if folder else file.parent) / file.name.replace(
            word, "particles"
        )
        if word in file.parent.name + file.name and other.is_file():
            return other
    return None


def read_hits(file: Path, hits: Table, particles: tuple[Path, Table] | None, skipped: Skipped) -> Iterator[Event]:
    """Events of the hits, and truth: each hit is a spacepoint; the order along a particle's way is that of the time.

    Raises:
        EventFormatError: a column is missing or of another type, or an event has no particles in their file.
    """
    others = None if particles is None else Beside(_particles(*particles))

    def made(row: tuple[int, Values]) -> Event:
        number, values = row
        where, rows = f"{file}: event {number}", None
        if others is not None and particles is not None:
            rows = others.of(number)
            if rows is None:
                raise EventFormatError(f"{particles[0]}: event {number} of {file.name} is not in it")
        values = _placed(file, values)
        return replace(event_of_values(where, number, values, _PLACES), truth=_truth(where, values, rows))

    true_places = _TRUE_PLACES if {*_TRUE_PLACES} <= {*hits.names} else {}
    return made_events(rows_of_events(file, hits, _HITS | true_places), made, skipped)


def _placed(file: Path, values: Values) -> Values:
    """The columns, with the true position of hits that have no measured one: a hit is known by its row, so all stay."""
    unmeasured = pc.is_nan(values["x"])
    if not pc.any(unmeasured).as_py() or "true_x" not in values:
        return values
    tell(f"{file}: has hits without a measured position: their true one is taken")
    return values | {name: pc.if_else(unmeasured, values[f"true_{name}"], values[name]) for name in POSITION}


def _particles(file: Path, table: Table) -> Iterator[tuple[int, Values]]:
    ancestry = next((name for name in _ANCESTRY if name in table.names), None)
    wanted = _PARTICLES | ({} if ancestry is None else {ancestry: ancestry})
    missing = [name for name in wanted.values() if name not in table.names]
    if missing:
        raise EventFormatError(f"{file}: column {', '.join(map(repr, missing))} is missing")
    return rows_of_events(file, table, wanted)


def _truth(where: str, values: Values, rows: Values | None) -> Truth:
    made = whole_numbers(values["particle_id"], pa.uint64(), f"{where}: column 'particle_id'")
    spacepoint = np.flatnonzero(made != NO_PARTICLE)
    listed = None
    if rows is not None:
        identifiers = whole_numbers(rows["particle_id"], pa.uint64(), f"{where}: column 'particle_id' of particles")
        primary = np.ones(len(identifiers), dtype=np.bool_)
        if "primary" in rows:
            primary = flags(rows["primary"], f"{where}: column 'primary'")
        elif "parent_id" in rows:
            primary = whole_numbers(rows["parent_id"], pa.int64(), f"{where}: column 'parent_id'") < 0
        listed = particles_of(identifiers, rows, primary, where)
    particles, particle = particle_table(listed, made[spacepoint])
    order = order_within(particle, floats(values["time"], f"{where}: column 'time'")[spacepoint])
    return Truth(particles=particles, spacepoint=spacepoint, particle=particle, order=order)
