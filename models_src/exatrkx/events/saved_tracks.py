"""Track files read back, event by event: tracks of a server, of the CKF, or of anybody's algorithm."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from exatrkx.contract import NOISE_LABEL
from exatrkx.errors import EventFormatError
from exatrkx.events.tracks import POSITIONS, require_suffix

if TYPE_CHECKING:
    from exatrkx.events.event import Event, IntArray

SAME_PLACE_MM: Final = 0.01
"""How far a spacepoint of the file may be from the event's: a text may have fewer digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedTracks:
    """A file of tracks in either form of `exatrkx.events.tracks`, in memory.

    Attributes:
        file: its name, for what is refused.
        table: its rows, those of one event after those of another.
        rows: of each event by its number: the first of its rows, and how many there are.
        assigned_only: whether spacepoints of no track have no rows, as in ColliderML's layout.
    """

    file: Path
    table: Any
    rows: dict[int, tuple[int, int]]
    assigned_only: bool = False

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read all events of a file, which may be in the layout of ColliderML, too.

        The columns `event_id`, `label` and `spacepoint` or `spacepoints` must be there, `seconds` and positions may.
        Rows may come in any order. A negative label is of no track.

        Raises:
            EventFormatError: not a file of tracks.
        """
        require_suffix(file)
        if file.exists() and not file.is_file():
            raise EventFormatError(f"{file}: cannot be read: not a file")
        try:
            table, assigned_only = _of_colliderml(_READERS[file.suffix](file))
            _check_columns(file, table)
            table = table.sort_by("event_id").combine_chunks()
            numbers, starts, sizes = np.unique(table["event_id"].to_numpy(), return_index=True, return_counts=True)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(file, error) from error
        rows = zip(starts.tolist(), sizes.tolist(), strict=True)
        events = dict(zip(numbers.tolist(), rows, strict=True))
        return cls(file=file, table=table, rows=events, assigned_only=assigned_only)

    def labels(self, event: Event) -> IntArray:
        """[N] the labels that the file has for the event of N spacepoints.

        Raises:
            EventFormatError: nothing of that event in the file, a spacepoint that the event does not have, or one that
                comes twice; with a row for each spacepoint also one that is missing, or that is elsewhere.
        """
        try:
            spacepoint, label = self._spacepoints(event)
        except pa.ArrowException as error:
            raise _unreadable(self.file, error) from error
        self._check_spacepoints(event, spacepoint)
        labels = np.full(len(event), NOISE_LABEL, dtype=np.int64)
        labels[spacepoint] = label
        return labels

    def seconds(self, event: Event) -> float:
        """The time that the event took; NaN where the file does not say."""
        start, size = self.rows.get(event.event_id, (0, 0))
        if not size or "seconds" not in self.table.column_names:
            return math.nan
        value = self.table["seconds"][start].as_py()
        return math.nan if value is None else float(value)

    def _spacepoints(self, event: Event) -> tuple[IntArray, IntArray]:
        """Spacepoint and label, one entry for each spacepoint of the event in the file, from either form."""
        start, size = self.rows.get(event.event_id, (0, 0))
        rows = self.table.slice(start, size)
        if not size and len(event):
            hint = "" if self._per_spacepoint else "; one in which none was found needs a row for each spacepoint"
            raise EventFormatError(f"{self.file}: no tracks of event {event.event_id} in it{hint}")
        labels = _whole(rows["label"])
        if self._per_spacepoint:
            self._check_places(event, rows)
            return _whole(rows["spacepoint"]), labels
        column = rows["spacepoints"].combine_chunks()
        if pa.types.is_string(column.type):
            column = pc.split_pattern(column, " ")
        sizes = pc.list_value_length(column).to_numpy(zero_copy_only=False)
        spacepoints = pc.list_flatten(column)
        if spacepoints.null_count:
            raise EventFormatError(f"{self.file}: event {event.event_id}: column 'spacepoints' has lists with nulls")
        return _whole(spacepoints), np.repeat(labels, sizes)

    @property
    def _per_spacepoint(self) -> bool:
        return "spacepoint" in self.table.column_names

    def _check_spacepoints(self, event: Event, spacepoint: IntArray) -> None:
        where = f"{self.file}: event {event.event_id}"
        outside = spacepoint[(spacepoint < 0) | (spacepoint >= len(event))]
        if outside.size:
            raise EventFormatError(f"{where} has {len(event)} spacepoints, found spacepoint {outside[0]}")
        times = np.bincount(spacepoint, minlength=len(event))
        if times.max(initial=0) > 1:
            raise EventFormatError(f"{where}: spacepoint {times.argmax()} comes {times.max()} times")
        if self._per_spacepoint and not self.assigned_only and len(spacepoint) != len(event):
            raise EventFormatError(f"{where} has {len(event)} spacepoints, found rows of {len(spacepoint)}")

    def _check_places(self, event: Event, rows: Any) -> None:
        """Refuse spacepoints that are elsewhere than the event's: they are of another event with the same number."""
        spacepoint = _whole(rows["spacepoint"])
        known = (spacepoint >= 0) & (spacepoint < len(event))  # the others are refused with a better word
        for name in POSITIONS:
            if name not in rows.column_names:
                continue
            here = getattr(event, name)[spacepoint[known]]
            there = rows[name].to_numpy()[known]
            apart = ~(np.abs(here - there) < SAME_PLACE_MM)
            if apart.any():
                first = int(apart.argmax())
                raise EventFormatError(
                    f"{self.file}: event {event.event_id} is another one: spacepoint {spacepoint[known][first]} has "
                    f"{name} = {here[first]:g} mm, found {there[first]:g}"
                )


def read_labels(file: Path, event: Event) -> IntArray:
    """[N] the labels that a file of tracks has for the event, whichever way it was written.

    Raises:
        EventFormatError: not such a file, nothing for that event in it, or other spacepoints than the event has.
    """
    return SavedTracks.read(file).labels(event)


def _check_columns(file: Path, table: Any) -> None:
    index = {"spacepoint", "spacepoints"} & set(table.column_names)
    if not {"event_id", "label"} <= set(table.column_names) or not index:
        raise EventFormatError(
            f"{file}: not a file of tracks; expected columns event_id, label and spacepoint or spacepoints, "
            f"found {', '.join(table.column_names)}"
        )
    for name in sorted({"event_id", "label", *index}):
        column = table[name]
        if column.null_count:
            raise EventFormatError(f"{file}: column '{name}' has nulls")
        if name != "spacepoints" and not pa.types.is_integer(column.type):
            raise EventFormatError(f"{file}: column '{name}' must be of integers, found {column.type}")


def _of_colliderml(table: Any) -> tuple[Any, bool]:
    """Columns by this project's names, of a table that may be in one of ColliderML's two forms; and whether it was."""
    names = {*table.column_names}
    if {"event_id", "hit_id", "track_id"} <= names:
        return table.select(["event_id", "hit_id", "track_id"]).rename_columns(
            ["event_id", "spacepoint", "label"]
        ), True
    if {"event_id", "hit_ids", "track_id"} <= names and not pa.types.is_integer(table["track_id"].type):
        tracks = table["track_id"].combine_chunks()
        events = np.repeat(_whole(table["event_id"]), np.asarray(pc.list_value_length(tracks)))
        hits = pc.list_flatten(table["hit_ids"].combine_chunks())
        return pa.table({"event_id": events, "label": pc.list_flatten(tracks), "spacepoints": hits}), True
    return table, False


def _read_root(file: Path) -> Any:
    from exatrkx.events.readers.root_files import Tree, opened_file  # noqa: PLC0415 - needs uproot, and others do not

    with opened_file(file) as trees:
        name, tree = next(((one, trees[one]) for one in trees if one == "tracks"), next(iter(trees.items())))
        table = Tree(file, name, tree)
        tables = list(table.batches(table.names))
    if tables:
        return pa.concat_tables(tables)
    kinds = {"spacepoints": pa.list_(pa.int64())}
    return pa.table({name: pa.array([], kinds.get(name, pa.int64())) for name in table.names})


def _read_csv(file: Path) -> Any:
    # Said, because a list of one spacepoint looks like a number, and a column without rows like nothing.
    whole = dict.fromkeys(("event_id", "spacepoint", "label"), pa.int64())
    types = whole | {"spacepoints": pa.string()} | dict.fromkeys((*POSITIONS, "seconds"), pa.float32())
    return pa_csv.read_csv(file, convert_options=pa_csv.ConvertOptions(column_types=types))


def _whole(column: Any) -> IntArray:
    """[R] the column's entries, of any type of integers or text of them; an `ArrowException` if one is too large."""
    whole: IntArray = np.asarray(pc.cast(column, pa.int64()))
    return whole


_READERS: Final[dict[str, Callable[[Path], Any]]] = {".csv": _read_csv, ".parquet": pq.read_table, ".root": _read_root}


def _unreadable(file: Path, error: Exception) -> EventFormatError:
    return EventFormatError(f"{file}: cannot be read: {str(error).splitlines()[0]}")
