"""Format of a file of events by its content: its reader, decompression, and header and separator of a text table.

A reader's module is imported when the first file of its format comes: what ROOT needs costs nobody else.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import importlib
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, NamedTuple, Protocol, TypeVar, cast

from exatrkx.errors import EventFormatError
from exatrkx.events.event import Event

if TYPE_CHECKING:
    from exatrkx.events.columns import ColumnMapping

Source = TypeVar("Source")

Kind = Literal["Parquet", "ROOT", "HDF5", "text"]

Skipped = Callable[[EventFormatError], object] | None
"""Is told about each event that cannot be read, and the next one follows; without it that is an error."""

_MODULES: Final[dict[Kind, str]] = {
    "Parquet": "exatrkx.events.readers.parquet_files",
    "ROOT": "exatrkx.events.readers.root_files",
    "HDF5": "exatrkx.events.readers.hdf5_files",
    "text": "exatrkx.events.readers.text_files",
}

_FORMATS: Final[dict[bytes, Kind]] = {b"PAR1": "Parquet", b"root": "ROOT", b"\x89HDF\r\n\x1a\n": "HDF5"}
_ZIP: Final = b"PK\x03\x04"
_COMPRESSED: Final[dict[bytes, tuple[str, Callable[[Path, Literal["rb"]], object]]]] = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bzip2", bz2.open),
    b"\xfd7zXZ\x00": ("xz", lzma.open),
}
_OTHERS: Final = {
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard, which is not opened here: decompress it",
    b"\x04\x22\x4d\x18": "compressed with LZ4, which is not opened here: decompress it",
    b"\x93NUMPY": "an array of NumPy",
    b"\x80": "a pickle of Python",
    b"ARROW1": "an Arrow (Feather) file: write it as Parquet",
    b"PK\x05\x06": "an empty zip archive",
    b"SQLite format 3": "an SQLite database",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a PNG picture",
    b"\x7fELF": "a program",
    b"{": "JSON",
    b"[": "JSON",
}
"""What else is found in its place, and what it is called."""

_UNREADABLE: Final = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError)
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_LOOKED_AT: Final = 4096
_LONGEST_LINE: Final = 1 << 20
_SEPARATORS: Final = ",;\t"
_BLANK: Final = " "


class Reader(Protocol):
    """What the module of a format has; each raises EventFormatError where the file does not keep the format."""

    def read(self, file: Path, columns: ColumnMapping | None, skipped: Skipped) -> Iterator[Event]:
        """The events of a file, each read only when it is asked for; with a mapping it is any table."""

    def count(self, file: Path, columns: ColumnMapping | None) -> int:
        """How many events a file has, without reading their spacepoints."""

    def holds_spacepoints(self, file: Path) -> bool:
        """Whether a file that was found in a folder is one of events; one that is broken may be."""

    def companions(self, file: Path) -> list[Path]:
        """The other files that `read` opens."""


class Header(NamedTuple):
    """The first line of a text table.

    Attributes:
        names: its cells, without quotes and blanks around them.
        separator: between them; a blank stands for any number of blanks.
    """

    names: list[str]
    separator: str

    @property
    def has_names(self) -> bool:
        """Whether it holds names of columns, and not values."""
        return not all(map(is_number, self.names))


def reader_of(file: Path) -> Reader:
    """The reader of a file.

    Raises:
        EventFormatError: it cannot be read, or is of no format that is known.
    """
    return cast("Reader", importlib.import_module(_MODULES[kind_of(file)]))


def kind_of(file: Path) -> Kind:
    """The format of a file, by its first bytes and not by its name.

    Raises:
        EventFormatError: it cannot be read, or is of no format that is known; the text says what it is.
    """
    start = _start(file)
    inner = _start(file, decompressed=True) if _compression(start) else start
    for magic, kind in _FORMATS.items():
        if inner.startswith(magic):
            if inner is not start:
                raise EventFormatError(f"{file}: {kind} compressed with {_compression(start)}: decompress it")
            return kind
    text = inner.removeprefix(_BYTE_ORDER_MARK)
    for magic, what in _OTHERS.items():
        if (text.lstrip() if what == "JSON" else text).startswith(magic):
            raise EventFormatError(f"{file}: no events: {what}")
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise EventFormatError(f"{file}: text in UTF-16: write it in UTF-8")
    if re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", text):
        raise EventFormatError(f"{file}: no events: binary, of a format that is not known")
    return "text"


@contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """The bytes of a file that may be compressed with gzip, bzip2 or xz, or be the only one of a zip archive.

    Raises:
        EventFormatError: it cannot be read, or the archive has several files; within the `with`, too.
    """
    try:
        with file.open("rb") as stream:
            start = stream.read(8)
        if start.startswith(_ZIP):
            with zipfile.ZipFile(file) as archive, cast("BinaryIO", archive.open(_only(file, archive))) as stream:
                yield stream
            return
        opener = next((opener for magic, (_, opener) in _COMPRESSED.items() if start.startswith(magic)), None)
        with cast("BinaryIO", opener(file, "rb") if opener else file.open("rb")) as stream:
            yield stream
    except _UNREADABLE as error:
        raise EventFormatError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def header_of(file: Path) -> Header:
    """The header of a text table, whatever its separator: comma, semicolon, tabulator or blanks.

    Raises:
        EventFormatError: the file cannot be read, is empty or no text.
    """
    if (kind := kind_of(file)) != "text":
        raise EventFormatError(f"{file}: expected a text table, found {kind}")
    with opened(file) as stream:
        line = stream.readline(_LONGEST_LINE).removeprefix(_BYTE_ORDER_MARK).decode("utf-8", "replace")
    if not line.strip():
        raise EventFormatError(f"{file}: no header and no rows on the first line, found an empty one")
    separator = max(_SEPARATORS, key=line.count)
    if separator not in line and line.strip().count(_BLANK):
        return Header([name.strip('"') for name in line.split()], _BLANK)
    cells = next(csv.reader([line.strip("\r\n")], delimiter=separator, skipinitialspace=True))
    return Header([cell.strip().strip('"') for cell in cells], separator)


def is_number(text: str) -> bool:
    """Whether a cell of the first line is a value and so not the name of a column."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _start(file: Path, *, decompressed: bool = False) -> bytes:
    try:
        if decompressed:
            with opened(file) as stream:
                return stream.read(_LOOKED_AT)
        with file.open("rb") as stream:
            return stream.read(_LOOKED_AT)
    except OSError as error:
        raise EventFormatError(f"{file}: {error.strerror}") from error


def _compression(start: bytes) -> str | None:
    if start.startswith(_ZIP):
        return "zip"
    return next((name for magic, (name, _) in _COMPRESSED.items() if start.startswith(magic)), None)


def _only(file: Path, archive: zipfile.ZipFile) -> str:
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if len(names) != 1:
        raise EventFormatError(f"{file}: a zip archive of {len(names)} files: unpack it, and name the folder")
    return names[0]


def made_events(sources: Iterable[Source], make: Callable[[Source], Event], skipped: Skipped) -> Iterator[Event]:
    """The events that are made of sources, one after the other; a source of which none can be made is skipped.

    Raises:
        EventFormatError: as `make`, where there is nobody to tell; or as the sources.
    """
    for source in sources:
        try:
            event = make(source)
        except EventFormatError as error:
            if skipped is None:
                raise
            skipped(error)
            continue
        yield event
