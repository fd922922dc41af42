"""Files of events in folders and patterns, in order, each event once, and what belongs to an event beside its file."""

from __future__ import annotations

import functools
import logging
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from exatrkx.errors import EventFormatError
from exatrkx.events.readers.formats import reader_of

AnyPath = str | os.PathLike[str]

_COMPRESSIONS: Final = ("", ".gz", ".bz2", ".xz", ".zip")
_CSV: Final = r"\.csv(\.(gz|bz2|xz|zip))?$"
TRACKML_PARTS: Final = ("truth", "particles")
ACTS_PARTS: Final = ("measurement-simhit-map", "hits", "particles_simulated")
"""What is read beside the hits, and beside the spacepoints."""

_EVENT: Final = re.compile(rf".*(?=-[a-z]+{_CSV})")
"""What the names of an event's files have in common, in TrackML and in ACTS."""
_SHOWN: Final = 3

SUFFIXES: Final = (".parquet", *(f".csv{compression}" for compression in _COMPRESSIONS))
OTHER_SUFFIXES: Final = (".root", ".h5", ".hdf5")
"""What is looked for in a folder, and what is where it has no such events: ACTS writes the same ones twice."""

_EVENT_PART: Final = re.compile(rf"(?P<event>event\d+)-(?P<part>[a-z_-]+){_CSV}")
"""How TrackML and ACTS name the several files of one event."""

_POSITIONS: Final = ("spacepoint", "spacepoints", "hits")
"""Which of an event's files holds its spacepoints: the first that exists, as ACTS writes its simulated hits too."""


def event_files(paths: AnyPath | Iterable[AnyPath]) -> list[Path]:
    """The files to read, in the order in which they were named; within a folder or pattern by name, 2 before 10.

    Of the files of one event (`event000001000-hits.csv`, `-truth.csv`, …) only the one with the spacepoints is given:
    its reader finds the others. Files of a folder that hold no spacepoints are passed over, with a line.

    Args:
        paths: a file, a folder, a pattern with `*`, `?` or `[…]`, or several of them.

    Raises:
        EventFormatError: nothing is there, or nothing that holds spacepoints.
    """
    named = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    found = [file for name in named for file in _expand(Path(name))]
    return _one_for_each_event(list(dict.fromkeys(found)))


def input_files(paths: AnyPath | Iterable[AnyPath]) -> list[Path]:
    """All files that `read_events` opens: those of `event_files`, and what belongs to an event of them.

    Raises:
        EventFormatError: as `event_files`.
    """
    files = event_files(paths)
    return files + [other for file in files for other in _companions(file)]


def beside(file: Path, part: str) -> Path | None:
    """The file of the same event with another part of it, compressed or not; None where there is none."""
    event = _EVENT.match(file.name)
    if event is None:
        return None
    candidates = (file.with_name(f"{event[0]}-{part}.csv{suffix}") for suffix in _COMPRESSIONS)
    return next((other for other in candidates if other.exists()), None)


def parts_of(file: Path) -> tuple[str, ...]:
    """Which other parts of an event are read beside this one, where they are there."""
    return TRACKML_PARTS if "-hits.csv" in file.name else ACTS_PARTS


def tell_missing(files: Sequence[Path]) -> None:
    """A line for a file without which the truth of events is not whole, where other files of it are there.

    TrackML's truth without particles has hits alone; ACTS's needs each of its files.
    """
    lacking: dict[str, list[Path]] = {}
    for file in files:
        parts = parts_of(file)
        found = [part for part in parts if beside(file, part)]
        if found and (parts == ACTS_PARTS or found == ["truth"]):
            for part in set(parts) - set(found):
                lacking.setdefault(part, []).append(file)
    for part, without in sorted(lacking.items()):
        event = _EVENT.match(without[0].name)
        name = without[0].with_name(f"{event[0] if event else without[0].stem}-{part}.csv")
        more = f", nor {len(without) - 1} more such files" if len(without) > 1 else ""
        lost = "particles are known by their hits alone" if part == "particles" else "the truth is left out"
        tell(f"{name}: no such file{more}: {lost}")


def _tell_passed_over(folder: Path, files: Iterable[Path], why: str) -> None:
    names = [file.name for file in files if not _EVENT_PART.search(file.name)]
    if names:
        shown = ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
        tell(f"{folder}: passed over {len(names)} file{'s' * (len(names) > 1)} {why}: {shown}")


@functools.cache
def tell(text: str) -> None:
    """One line on standard error, where logging is not set up otherwise; the same one once in a process."""
    logging.getLogger(__name__).warning("%s", text)


def _companions(file: Path) -> list[Path]:
    try:
        return reader_of(file).companions(file)
    except EventFormatError:  # is told when it is read
        return []


def _expand(path: Path) -> list[Path]:
    if path.is_dir():
        return _events_of_folder(path)
    if path.is_file():
        return [path]
    if path.exists():
        raise EventFormatError(f"{path}: a pipe or a device, of which nothing can be read twice; name a file")
    if not set("*?[") & set(str(path)):
        raise EventFormatError(f"{path}: no such file or folder")
    base = Path(path.anchor)
    found = [file for file in base.glob(str(path.relative_to(base))) if file.is_file()]
    if not found:
        raise EventFormatError(f"{path}: no file fits this pattern")
    return sorted(found, key=_natural)


def _events_of_folder(folder: Path) -> list[Path]:
    all_files = sorted(folder.iterdir(), key=_natural)
    found, later = ([file for file in all_files if file.name.endswith(one)] for one in (SUFFIXES, OTHER_SUFFIXES))
    if not found and not later:
        raise EventFormatError(f"{folder}: a folder without any {', '.join((*SUFFIXES, *OTHER_SUFFIXES))} file")
    events = [file for file in found if _EVENT_PART.search(file.name) or _holds_spacepoints(file)]
    if events:
        _tell_passed_over(folder, later, "beside CSV or Parquet")
    else:
        events = [file for file in later if _holds_spacepoints(file)]
        found += later
    if not events:
        raise EventFormatError(f"{folder}: a folder without any file of spacepoints, found {found[0].name}")
    others = set(found) - set(events)
    if others:
        others -= {other for file in events for other in _companions(file)}
        _tell_passed_over(folder, sorted(others, key=_natural), "without spacepoints")
    return events


def _holds_spacepoints(file: Path) -> bool:
    try:
        return reader_of(file).holds_spacepoints(file)
    except EventFormatError:  # a broken file is no foreign one
        return True


def _one_for_each_event(files: list[Path]) -> list[Path]:
    parts = {file: match for file in files if (match := _EVENT_PART.search(file.name))}
    present = {(file.parent, match["event"], match["part"]) for file, match in parts.items()}
    chosen = []
    for file in files:
        match = parts.get(file)
        if match is None:
            chosen.append(file)
            continue
        with_positions = [part for part in _POSITIONS if (file.parent, match["event"], part) in present]
        if not with_positions:
            raise EventFormatError(
                f"{file}: holds no spacepoints; name the {match['event']}-hits.csv or -spacepoint.csv beside it"
            )
        if match["part"] == with_positions[0]:
            chosen.append(file)
    return chosen


def _natural(path: Path) -> list[tuple[int, str]]:
    """A sort key in which event 2 comes before event 10."""
    pieces = re.split(r"(\d+)", path.name)
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in pieces]
