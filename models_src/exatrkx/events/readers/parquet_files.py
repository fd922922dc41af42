"""Parquet files of events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from exatrkx.events import parquet
from exatrkx.events.event import Event
from exatrkx.events.readers.formats import Skipped


def read(file: Path, skipped: Skipped) -> Iterator[Event]:
    """The events of a file."""
    return parquet.read_events(file, skipped=skipped)


def count(file: Path) -> int:
    """How many events a file has."""
    return parquet.count_events(file)


def holds_spacepoints(_file: Path) -> bool:
    """Whether it is one of events; what is wrong with it is told when it is read."""
    return True


def companions(_file: Path) -> list[Path]:
    """None."""
    return []
