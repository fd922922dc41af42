"""From what a user names (files, folders, patterns) to the one file that stands for each event."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from exatrkx.errors import EventFormatError

AnyPath = str | os.PathLike[str]

SUFFIXES: Final = (".parquet", ".csv", ".csv.gz")
"""What is looked for in a folder."""

_EVENT_PART: Final = re.compile(r"(?P<event>event\d+)-(?P<part>[a-z_]+)\.csv(\.gz)?$")
"""How TrackML and ACTS name the several files of one event."""

_POSITIONS: Final = ("spacepoint", "spacepoints", "hits")
"""Which of an event's files holds its spacepoints: the first that exists, as ACTS writes its simulated hits too."""


def event_files(paths: AnyPath | Iterable[AnyPath]) -> list[Path]:
    """The files to read, in the order in which they were named; within a folder or pattern by name, 2 before 10.

    Of the files of one event (`event000001000-hits.csv`, `-truth.csv`, …) only the one with the spacepoints is given:
    its reader finds the others.

    Args:
        paths: a file, a folder, a pattern with `*`, `?` or `[…]`, or several of them.

    Raises:
        EventFormatError: nothing is there, or nothing that holds spacepoints.
    """
    named = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    found = [file for name in named for file in _expand(Path(name))]
    return _one_for_each_event(list(dict.fromkeys(found)))


def event_number(file: Path, otherwise: int = 0) -> int:
    """The event's number as its file's name has it: the digits after `event`, else the last ones."""
    stem = file.name.split(".")[0]
    numbers = re.findall(r"event(\d+)", stem) or re.findall(r"\d+", stem)
    return int(numbers[-1]) if numbers else otherwise


def _expand(path: Path) -> list[Path]:
    if path.is_dir():
        found = [file for file in path.iterdir() if file.name.endswith(SUFFIXES)]
        if not found:
            raise EventFormatError(f"{path}: a folder without any {', '.join(SUFFIXES)} file")
        return sorted(found, key=_natural)
    if path.exists():
        return [path]
    if not set("*?[") & set(str(path)):
        raise EventFormatError(f"{path}: no such file or folder")
    base = Path(path.anchor)
    found = [file for file in base.glob(str(path.relative_to(base))) if file.is_file()]
    if not found:
        raise EventFormatError(f"{path}: no file fits this pattern")
    return sorted(found, key=_natural)


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
