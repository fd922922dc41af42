"""Files of found tracks, Parquet or CSV: one row for each spacepoint, or one for each track candidate."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from exatrkx.contract import NOISE_LABEL
from exatrkx.errors import EventFormatError
from exatrkx.event import Event

Labels = npt.NDArray[np.int64]
Per = Literal["spacepoint", "track"]

SUFFIXES: Final = (".parquet", ".csv")

_ROWS_AT_ONCE: Final = 1 << 17
"""Small events share a row group, or a file of thousands of them would be slow to read."""

_SPACEPOINT_SCHEMA: Final = pa.schema(
    {
        "event_id": pa.int64(),
        "spacepoint": pa.int64(),
        "x": pa.float32(),
        "y": pa.float32(),
        "z": pa.float32(),
        "label": pa.int64(),
    }
)
_TRACK_SCHEMA: Final = pa.schema({"event_id": pa.int64(), "label": pa.int64(), "spacepoints": pa.list_(pa.int64())})


class TracksWriter:
    """Writes the tracks of one event after the other; a context manager, after which the file is complete.

    | per | columns |
    |---|---|
    | spacepoint | `event_id`, `spacepoint` (its index in the event), `x`, `y`, `z` in mm, `label` (−1: on no track) |
    | track | `event_id`, `label`, `spacepoints` (their indices; in CSV one text, separated by blanks) |

    Raises:
        EventFormatError: the file's name ends in neither `.parquet` nor `.csv`, or it cannot be written.
    """

    def __init__(self, file: Path, per: Per = "spacepoint") -> None:
        require_suffix(file)
        self._per = per
        self._as_text = file.suffix == ".csv"
        schema = _SPACEPOINT_SCHEMA if per == "spacepoint" else _TRACK_SCHEMA
        if self._as_text and per == "track":
            schema = schema.set(2, pa.field("spacepoints", pa.string()))
        self._schema = schema
        self._waiting: list[pa.Table] = []
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._writer: Any = (pa_csv.CSVWriter if self._as_text else pq.ParquetWriter)(str(file), schema)
        except OSError as error:
            raise EventFormatError(f"{file}: cannot be written: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._flush()
        self._writer.close()

    def write(self, event: Event, labels: Labels) -> None:
        """Add one event; `labels` is [N], one for each of its spacepoints."""
        columns = _spacepoint_rows(event, labels) if self._per == "spacepoint" else self._track_rows(event, labels)
        self._waiting.append(pa.table(columns, schema=self._schema))
        if sum(table.num_rows for table in self._waiting) >= _ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
            self._waiting.clear()

    def _track_rows(self, event: Event, labels: Labels) -> dict[str, Any]:
        names, groups = group_by_label(labels)
        spacepoints = [" ".join(map(str, group)) for group in groups] if self._as_text else groups
        return {"event_id": np.full(len(names), event.event_id), "label": names, "spacepoints": spacepoints}


def group_by_label(labels: Labels) -> tuple[Labels, list[Labels]]:
    """The labels ≥ 0 in rising order, and for each the indices of its spacepoints in rising order."""
    found = np.flatnonzero(labels != NOISE_LABEL)
    in_order = found[np.argsort(labels[found], kind="stable")]
    names, starts = np.unique(labels[in_order], return_index=True)
    return names, np.split(in_order, starts[1:]) if len(names) else []


def read_labels(file: Path, event: Event) -> Labels:
    """[N] the labels that a file of tracks has for the event, whichever way it was written.

    Raises:
        EventFormatError: not such a file, nothing for that event in it, or spacepoints that the event does not have.
    """
    require_suffix(file)
    try:
        table = _read_csv(file) if file.suffix == ".csv" else pq.read_table(file)
        spacepoint, label = _rows_of_event(file, table, event)
    except (pa.ArrowException, OSError) as error:
        raise EventFormatError(f"{file}: cannot be read: {str(error).splitlines()[0]}") from error
    outside = spacepoint[(spacepoint < 0) | (spacepoint >= len(event))]
    if outside.size:
        raise EventFormatError(
            f"{file}: event {event.event_id} has {len(event)} spacepoints, found spacepoint {outside[0]}"
        )
    labels = np.full(len(event), NOISE_LABEL, dtype=np.int64)
    labels[spacepoint] = label
    return labels


def require_suffix(file: Path) -> None:
    """Refuse a file of tracks whose name does not say its format.

    Raises:
        EventFormatError: the name ends in neither `.parquet` nor `.csv`.
    """
    if file.suffix not in SUFFIXES:
        raise EventFormatError(f"{file}: a file of tracks ends in {' or '.join(SUFFIXES)}, found '{file.suffix}'")


def _spacepoint_rows(event: Event, labels: Labels) -> dict[str, Any]:
    return {
        "event_id": np.full(len(event), event.event_id),
        "spacepoint": np.arange(len(event)),
        "x": event.x,
        "y": event.y,
        "z": event.z,
        "label": labels,
    }


def _read_csv(file: Path) -> pa.Table:
    # Said, because a list of one spacepoint looks like a number, and a column without rows like nothing.
    types = {"event_id": pa.int64(), "spacepoint": pa.int64(), "label": pa.int64(), "spacepoints": pa.string()}
    return pa_csv.read_csv(file, convert_options=pa_csv.ConvertOptions(column_types=types))


def _rows_of_event(file: Path, table: pa.Table, event: Event) -> tuple[Labels, Labels]:
    """Spacepoint and label, one entry for each spacepoint of the event in the file, from either form."""
    index = {"spacepoint", "spacepoints"} & set(table.column_names)
    if not {"event_id", "label"} <= set(table.column_names) or not index:
        raise EventFormatError(
            f"{file}: not a file of tracks; expected columns event_id, label and spacepoint or spacepoints, "
            f"found {', '.join(table.column_names)}"
        )
    rows = table.filter(pc.equal(table["event_id"], event.event_id))
    if not rows.num_rows and len(event):
        raise EventFormatError(f"{file}: no tracks of event {event.event_id} in it")
    labels = rows["label"].to_numpy()
    column = rows[index.pop()].combine_chunks()
    if pa.types.is_integer(column.type):
        return column.to_numpy(), labels
    if pa.types.is_string(column.type):
        column = pc.split_pattern(column, " ")
    sizes = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    spacepoints = pc.cast(pc.list_flatten(column), pa.int64()).to_numpy(zero_copy_only=False)
    return spacepoints, np.repeat(labels, sizes)
