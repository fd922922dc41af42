"""Journal of a run's finished events, beside its output as `NAME.partial`, from which an interrupted run is resumed.

The first line is JSON and says which run it is. Then, for each event, 8 bytes of length and NumPy's .npz. It is written
as the events come, so that a killed run (SIGKILL) leaves it, too; an entry that was cut off is left out.
"""

from __future__ import annotations

import io
import json
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from zipfile import BadZipFile

import numpy as np

from exatrkx.errors import OutputRefusedError
from exatrkx.files import NamedFile, lock, named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import numpy.typing as npt

T = TypeVar("T")
Arrays = dict[str, Any]
"""NumPy arrays and numbers by name."""

SUFFIX: Final = ".partial"
FORMAT: Final = {"format": "exatrkx-partial", "version": 1}
_HEAD: Final = json.dumps(FORMAT).partition(",")[0].encode()
_LENGTH_BYTES: Final = 8
_LONGEST_HEADER: Final = 1 << 16
_MOST_TOLD: Final = 3


class Journal:
    """Finished events of a run; a context manager, which removes the file where the output has become whole.

    After an error the file stays, and a note of the error says how to go on. Entered before the output's file, so
    that it is left after it.

    Args:
        output: file that the run writes.
        run: what decides the results, by name; a journal of another run is not resumed.
        resume: go on where such a run ended; else begin anew.

    Raises:
        OutputRefusedError: the journal is of another run, or none at all, or one that is running writes it.
        OutputError: it cannot be written.
    """

    def __init__(self, output: Path, run: Mapping[str, object], *, resume: bool) -> None:
        place = Path(os.path.realpath(output))
        self.path = place.with_name(place.name + SUFFIX)
        self._header = json.dumps({**FORMAT, **run}).encode() + b"\n"
        self._ends: list[int] = []
        with named(self.path):
            self._file = NamedFile(self.path, "r+b" if self.path.exists() else "x+b")
            if not lock(self._file.fileno()) or not os.fstat(self._file.fileno()).st_nlink:  # just removed by another
                self._file.close()
                raise OutputRefusedError(f"{self.path}: another run is writing it")
            try:
                self._begin(resume=resume)
            except BaseException:
                self._file.close()
                raise

    def __len__(self) -> int:
        """Events that are in it."""
        return len(self._ends)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if error is not None:
            self._find_entries()  # a signal may have come between an entry's last byte and its count
        if error is None or not self._ends:
            self.path.unlink(missing_ok=True)
        else:
            error.add_note(
                f"{len(self)} finished events are kept in {self.path}: the same command with --resume goes on"
            )
        self._file.close()

    def entries(self) -> Iterator[Arrays]:
        """The events that an earlier run has finished, in their order; to be read before any is added."""
        start = len(self._header)
        for end in self._ends[:]:
            self._file.seek(start + _LENGTH_BYTES)
            content = self._file.read(end - start - _LENGTH_BYTES)
            try:
                with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                    entry = dict(arrays)
            except (ValueError, EOFError, BadZipFile, zlib.error) as error:
                raise OutputRefusedError(
                    f"{self.path}: is damaged: {error}; without --resume it is replaced"
                ) from error
            yield entry
            start = end

    def add(self, **arrays: npt.ArrayLike) -> None:
        """Add a finished event."""
        content = io.BytesIO()
        np.savez(content, **arrays)
        end = self._ends[-1] if self._ends else len(self._header)
        self._file.seek(end)
        self._file.write(len(content.getvalue()).to_bytes(_LENGTH_BYTES) + content.getvalue())
        self._ends.append(self._file.tell())

    def resumed(
        self,
        numbers: range,
        make: Callable[[range], Iterable[T]],
        pack: Callable[[T], Arrays],
        unpack: Callable[[Arrays], T],
    ) -> Iterator[T]:
        """What belongs to the events of these numbers, in their order: from the journal, then made and added.

        Args:
            numbers: of the events, the same ones from the first on that the journal's run had.
            make: makes what belongs to the events of these numbers.
            pack: from that to an entry of the journal.
            unpack: and back.
        """
        for _, entry in zip(numbers, self.entries(), strict=False):
            yield unpack(entry)
        for one in make(numbers[len(self) :]):
            self.add(**pack(one))
            yield one

    def _begin(self, *, resume: bool) -> None:
        """Find the whole entries of the file, or make it a journal without any."""
        found = self._file.readline(_LONGEST_HEADER)
        if found[: len(_HEAD)] != _HEAD[: len(found)]:
            raise OutputRefusedError(f"{self.path}: is no journal of a run, and stays: move it, or name another output")
        if not resume or not found:
            self._file.truncate(0)
            self._file.seek(0)
            self._file.write(self._header)
            return
        if found != self._header:
            raise OutputRefusedError(
                f"{self.path}: {_difference(found, self._header)}; without --resume it is replaced"
            )
        self._find_entries()

    def _find_entries(self) -> None:
        """Count the entries that are whole in the file."""
        self._ends.clear()
        end, size = len(self._header), os.fstat(self._file.fileno()).st_size
        self._file.seek(end)
        while length := self._file.read(_LENGTH_BYTES):
            end += _LENGTH_BYTES + int.from_bytes(length)
            if end > size:
                break
            self._ends.append(end)
            self._file.seek(end)


def _difference(found: bytes, wanted: bytes) -> str:
    """How the run of a journal's first line differs from the one that is to be resumed."""
    try:
        there, here = dict(json.loads(found)), dict(json.loads(wanted))
    except (TypeError, ValueError):
        return "is no journal of a run"
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    differences = [
        f"{name} {there.get(name, 'unknown')!s:.16}, not {here.get(name, 'unknown')!s:.16}" for name in names
    ]
    more = [f"and {len(names) - _MOST_TOLD} more"] if len(names) > _MOST_TOLD else []
    return f"is of another run: {', '.join([*differences[:_MOST_TOLD], *more])}"
