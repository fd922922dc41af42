"""Track files, Parquet, CSV or ROOT, as they are written: one row for each spacepoint, or for each track candidate.

`TracksWriter` writes them, `exatrkx.events.saved_tracks` reads them, `exatrkx.events.track_layouts` has their columns.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from exatrkx.errors import EventFormatError
from exatrkx.events.event import Event, IntArray
from exatrkx.events.track_layouts import POSITIONS, Layout, Per, group_by_label, rows_of, schema_of
from exatrkx.files import named, whole_file
from exatrkx.fitting.settings import FitSettings

__all__ = ["POSITIONS", "SUFFIXES", "Layout", "Per", "TracksWriter", "group_by_label", "require_suffix"]

SUFFIXES: Final = (".parquet", ".csv", ".root")

_ROWS_AT_ONCE: Final = 1 << 17
"""Small events share a row group, or a file of thousands of them would be slow to read."""

_SECONDS: Final = pa.field("seconds", pa.float32())


class TracksWriter:
    """Writes the tracks of one event after the other; a context manager, after which the file is there, and whole.

    If the `with` ends with an error, there is no file, or the one that was there before.

    | per | columns |
    |---|---|
    | spacepoint | `event_id`, `spacepoint` (its index in the event), `x`, `y`, `z` in mm, `label` (−1: on no track) |
    | track | `event_id`, `label`, `spacepoints` (their indices; in CSV one text, separated by blanks), its helix fit |

    In a ROOT file they are the branches of a TTree `tracks`. In the layout of ColliderML, which is Parquet, they are

    | per | columns |
    |---|---|
    | spacepoint | `event_id`, `hit_id`, `track_id` of hits on a track, as `colliderml.tasks.evaluate` takes them |
    | track | the table `tracks` of release 1, a row for each event; parameters of candidates without a fit are null |

    The fit has the columns of `exatrkx.fitting.tracks.TRACK_FIT`, and `fit` says in which field and to which beam line.
    Either has a column `seconds` more where `timed`: the time that the event took, in each of its rows. An event
    without rows has none.

    Raises:
        EventFormatError: the file's name says no format that is written, or another one than the layout's.
        OutputError (at the beginning of the `with`, on writing and at the end): it cannot be written.
    """

    def __init__(
        self,
        file: Path,
        per: Per = "spacepoint",
        *,
        timed: bool = False,
        layout: Layout = "exatrkx",
        fit: FitSettings | None = None,
    ) -> None:
        require_suffix(file, layout)
        self._file = file
        self._per = per
        self._layout = layout
        self._timed = timed
        self._fit = fit
        self._as_text = file.suffix == ".csv"
        schema = schema_of(layout, per)
        if self._as_text and per == "track":
            schema = schema.set(2, pa.field("spacepoints", pa.string()))
        self._schema = schema.append(_SECONDS) if timed else schema
        self._waiting: list[pa.Table] = []

    def __enter__(self) -> Self:
        with named(self._file):
            self._file.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stream = stack.enter_context(whole_file(self._file))
            self._writer = _writer(self._file, stream, self._schema)
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
        columns = rows_of(self._layout, self._per, event, labels, self._fit)
        if self._as_text and self._per == "track":
            columns["spacepoints"] = [" ".join(map(str, group)) for group in columns["spacepoints"]]
        if self._timed:
            columns["seconds"] = np.full(len(columns["event_id"]), seconds, dtype=np.float32)
        self._waiting.append(pa.table(columns, schema=self._schema))
        if sum(table.num_rows for table in self._waiting) >= _ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
            self._waiting.clear()


def _writer(file: Path, stream: BinaryIO, schema: Any) -> Any:
    match file.suffix:
        case ".csv":
            return pa_csv.CSVWriter(stream, schema)
        case ".root":
            from exatrkx.events.root_writer import RootWriter  # noqa: PLC0415 - needs uproot, and others do not

            return RootWriter(stream, schema)
        case _:
            return pq.ParquetWriter(stream, schema)


def require_suffix(file: Path, layout: Layout = "exatrkx") -> None:
    """Refuse a file of tracks whose name does not say its format, or says another one than that of its layout.

    Raises:
        EventFormatError: the name ends in none of `SUFFIXES`.
    """
    allowed = SUFFIXES if layout == "exatrkx" else SUFFIXES[:1]
    if file.suffix not in allowed:
        of = "a file of tracks" if layout == "exatrkx" else f"a file of tracks in the layout {layout}"
        raise EventFormatError(f"{file}: {of} ends in {' or '.join(allowed)}, found '{file.suffix}'")
