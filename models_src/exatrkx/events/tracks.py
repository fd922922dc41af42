"""Track files, Parquet or CSV: one row for each spacepoint, or one for each track candidate.

`TracksWriter` writes them, `exatrkx.events.saved_tracks` reads them.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from exatrkx.contract import NOISE_LABEL
from exatrkx.errors import EventFormatError
from exatrkx.events.event import Event, IntArray
from exatrkx.files import named, whole_file

Per = Literal["spacepoint", "track"]

SUFFIXES: Final = (".parquet", ".csv")

POSITIONS: Final = ("x", "y", "z")

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
_SECONDS: Final = pa.field("seconds", pa.float32())


class TracksWriter:
    """Writes the tracks of one event after the other; a context manager, after which the file is there, and whole.

    If the `with` ends with an error, there is no file, or the one that was there before.

    | per | columns |
    |---|---|
    | spacepoint | `event_id`, `spacepoint` (its index in the event), `x`, `y`, `z` in mm, `label` (−1: on no track) |
    | track | `event_id`, `label`, `spacepoints` (their indices; in CSV one text, separated by blanks) |

    Either has a column `seconds` more where `timed`: the time that the event took, in each of its rows. An event
    without rows has none.

    Raises:
        EventFormatError: the file's name ends in neither `.parquet` nor `.csv`.
        OutputError (at the beginning of the `with`, on writing and at the end): it cannot be written.
    """

    def __init__(self, file: Path, per: Per = "spacepoint", *, timed: bool = False) -> None:
        require_suffix(file)
        self._file = file
        self._per = per
        self._timed = timed
        self._as_text = file.suffix == ".csv"
        schema = _SPACEPOINT_SCHEMA if per == "spacepoint" else _TRACK_SCHEMA
        if self._as_text and per == "track":
            schema = schema.set(2, pa.field("spacepoints", pa.string()))
        self._schema = schema.append(_SECONDS) if timed else schema
        self._waiting: list[pa.Table] = []

    def __enter__(self) -> Self:
        with named(self._file):
            self._file.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stream = stack.enter_context(whole_file(self._file))
            self._writer: Any = (pa_csv.CSVWriter if self._as_text else pq.ParquetWriter)(stream, self._schema)
            stack.callback(self._writer.close)
            self._opened = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._flush()
        except BaseException as failure:
            self._opened.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._opened.__exit__(kind, error, traceback)

    def write(self, event: Event, labels: IntArray, seconds: float | None = None) -> None:
        """Add one event.

        Args:
            event: N spacepoints.
            labels: [N] one for each of them.
            seconds: that it took; of a `timed` file, and only there.
        """
        if self._timed != (seconds is not None):
            raise ValueError(f"event {event.event_id}: seconds are of a timed file, found {seconds}")
        columns = _spacepoint_rows(event, labels) if self._per == "spacepoint" else self._track_rows(event, labels)
        if self._timed:
            columns["seconds"] = np.full(len(columns["label"]), seconds, dtype=np.float32)
        self._waiting.append(pa.table(columns, schema=self._schema))
        if sum(table.num_rows for table in self._waiting) >= _ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
            self._waiting.clear()

    def _track_rows(self, event: Event, labels: IntArray) -> dict[str, Any]:
        names, groups = group_by_label(labels)
        spacepoints = [" ".join(map(str, group)) for group in groups] if self._as_text else groups
        return {"event_id": np.full(len(names), event.event_id), "label": names, "spacepoints": spacepoints}


def group_by_label(labels: IntArray) -> tuple[IntArray, list[IntArray]]:
    """The labels ≥ 0 in rising order, and for each the indices of its spacepoints in rising order."""
    found = np.flatnonzero(labels > NOISE_LABEL)
    in_order = found[np.argsort(labels[found], kind="stable")]
    names, starts = np.unique(labels[in_order], return_index=True)
    return names, np.split(in_order, starts[1:]) if len(names) else []


def require_suffix(file: Path) -> None:
    """Refuse a file of tracks whose name does not say its format.

    Raises:
        EventFormatError: the name ends in neither `.parquet` nor `.csv`.
    """
    if file.suffix not in SUFFIXES:
        raise EventFormatError(f"{file}: a file of tracks ends in {' or '.join(SUFFIXES)}, found '{file.suffix}'")


def _spacepoint_rows(event: Event, labels: IntArray) -> dict[str, Any]:
    return {
        "event_id": np.full(len(event), event.event_id),
        "spacepoint": np.arange(len(event)),
        **{name: getattr(event, name) for name in POSITIONS},
        "label": labels,
    }
