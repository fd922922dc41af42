"""Manifest of a batch: its inputs by SHA-256, and the service that it asks, frozen in the output folder."""

from __future__ import annotations

import hashlib
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exatrkx import __version__
from exatrkx.errors import EventFormatError, OutputRefusedError
from exatrkx.events.readers import event_files, input_files
from exatrkx.files import lock, named, whole_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from exatrkx.events.columns import ColumnMapping

MANIFEST: Final = "manifest.json"
FORMAT: Final = {"format": "exatrkx-batch", "version": 1}

_SUFFIX: Final = re.compile(r"\.(parquet|csv|csv\.gz)$")
_MOST_TOLD: Final = 5
_READERS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFile:
    """A file of events as it was when the manifest was made.

    Attributes:
        name: of its artefacts: where it is below the folder that all of the batch share, without its suffix.
        path: where it is, absolute.
        sha256: of it and of each other file that its reader opens, by their names.
    """

    name: str
    path: Path
    sha256: Mapping[str, str]

    @property
    def inputs(self) -> list[Path]:
        """Each file that its reader opens."""
        return [self.path.with_name(name) for name in self.sha256]

    def require_unchanged(self) -> None:
        """Raises EventFormatError where a file is not what it was any more."""
        if now := changed(self.sha256, _digests(self.path)):
            raise EventFormatError(f"{self.path}: has changed since the batch began: {now}")


def freeze(paths: Sequence[str]) -> list[EventFile]:
    """The files of events of a command line, in its order, with their contents' digests.

    Raises:
        EventFormatError: as `exatrkx.events.readers.event_files`.
        OutputRefusedError: two files would have artefacts of one name.
    """
    files = list(dict.fromkeys(Path(os.path.abspath(file)) for file in event_files(paths)))  # noqa: PTH100 - links stay
    common = os.path.commonpath([file.parent for file in files])
    names = {file: _SUFFIX.sub("", str(file.relative_to(common))) for file in files}
    taken: dict[str, Path] = {}
    for file, name in names.items():
        if (other := taken.setdefault(name, file)) != file:
            raise OutputRefusedError(
                f"{other} and {file}: their tracks would be one file; give each a batch of its own"
            )
    with ThreadPoolExecutor(_READERS) as pool:
        digests = pool.map(_digests, files)
        return [EventFile(name=names[file], path=file, sha256=one) for file, one in zip(files, digests, strict=True)]


@contextmanager
def settled(
    folder: Path, files: Sequence[EventFile], service: Mapping[str, str], columns: ColumnMapping | None = None
) -> Iterator[None]:
    """The manifest in the folder, written or found there as it should be; within the `with` no other run may have it.

    Raises:
        OutputRefusedError: the folder has a manifest of other inputs, columns or of another service, which the text
            names, or things in it and no manifest; or another run is writing to it.
        OutputError: it cannot be written.
    """
    inputs = {file.name: dict(file.sha256) for file in sorted(files, key=lambda file: file.name)}
    mapping = {} if columns is None else {"columns": {**columns.names, "unit": columns.unit, "table": columns.table}}
    made_by = {**FORMAT, "exatrkx": __version__, "service": dict(service)}
    manifest, path = {**made_by, **mapping, "inputs": inputs}, folder / MANIFEST
    with named(folder):
        folder.mkdir(parents=True, exist_ok=True)
        others = [file.name for file in folder.iterdir() if not file.name.startswith(f".{MANIFEST}.")]
    if others and not path.exists():
        raise OutputRefusedError(f"{folder}: has {others[0]} in it and no {MANIFEST}; name a folder of the batch's own")
    if not others:
        with whole_file(path) as stream:
            stream.write(f"{json.dumps(manifest, indent=1)}\n".encode())
    with path.open("rb") as found:
        if not lock(found.fileno()) or not os.fstat(found.fileno()).st_nlink:
            raise OutputRefusedError(f"{folder}: another run is writing to it")
        if difference := _difference(found.read(), manifest):
            raise OutputRefusedError(f"{folder}: {difference}; name another folder")
        yield


def _digests(file: Path) -> dict[str, str]:
    """SHA-256 of a file and of its companions by name; where one cannot be read, why."""
    return {one.name: sha256_of(one) for one in input_files(file)}


def sha256_of(file: Path) -> str:
    """SHA-256 of a file's content, or why it cannot be read."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _difference(content: bytes, wanted: Mapping[str, object]) -> str:
    """How the manifest that is there differs from the one that is wanted; empty where it does not."""
    try:
        found = json.loads(content)
        if {name: found[name] for name in FORMAT} != FORMAT:
            return f"its {MANIFEST} is of another version"
        here, there = _flat(wanted), _flat(found)
    except (ValueError, TypeError, AttributeError, KeyError):
        return f"its {MANIFEST} is damaged"
    told = changed(there, here)
    return f"is of another run: {told}" if told else ""


def _flat(manifest: Mapping[str, object]) -> dict[str, str]:
    """A manifest as one mapping: service, columns, and the digest of each file by its place."""
    service, inputs = dict(manifest["service"]), dict(manifest["inputs"])  # type: ignore[call-overload]
    columns = dict(manifest.get("columns", {}))  # type: ignore[call-overload]
    files = {str(Path(name).parent / file): sha for name, of in inputs.items() for file, sha in of.items()}
    named = {f"column of {name}": str(value) for name, value in columns.items()}
    return {**{f"{name} of the service": value for name, value in service.items()}, **named, **files}


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What is missing, new or another, by name; of many the first ones."""
    names = [name for name in sorted({**before, **now}) if before.get(name) != now.get(name)]
    told = [f"{name} is {now.get(name, 'missing'):.16}, not {before.get(name, 'there'):.16}" for name in names]
    more = len(told) - _MOST_TOLD
    return ", ".join(told[:_MOST_TOLD]) + (f" and {more} more" if more > 0 else "")
