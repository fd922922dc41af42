"""Column mapping of tables of other programs: names of columns, unit of length, and which column is the particle."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from exatrkx.checks import quoted
from exatrkx.errors import EventFormatError

MM: Final = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
"""Units of length that a table may be in."""

POSITION: Final = ("x", "y", "z")
MOMENTUM: Final = ("px", "py", "pz")

_USUAL: Final = {
    **{name: (name,) for name in POSITION},
    "event": ("event_id", "event"),
    "particle": ("particle_id",),
    "order": (),
    **dict.fromkeys(MOMENTUM, ()),
}
"""What a column may stand for, and its usual names, where it is looked for unless a mapping names it."""

EXTRA: Final = "extra."
"""Begins the names, in a mapping, of further columns."""

HELP: Final = (
    f"names of a table's columns, as x=sp_x,y=sp_y,z=sp_z,particle=pid: of {', '.join(_USUAL)}, and of further ones "
    f"that networks take, as {EXTRA}charge=q; with them unit={' or '.join(MM)}, and table= of a file with several; or "
    "a file of such lines (docs/formats.md)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMapping:
    """How the columns of a table are called.

    Attributes:
        names: of columns, by what they stand for: `x`, `y`, `z` the position; `event` its number; `particle` the
            particle that made the spacepoint; `order` what rises along its way, such as the time; `px`, `py`, `pz` its
            momentum in GeV at the spacepoint; `extra.NAME` is one of `Event.extra`, of that name.
        unit: of the lengths.
        table: which one of a file with several, such as a TTree or a group of HDF5.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    unit: str = "mm"
    table: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """The mapping of an option: `x=sp_x,y=sp_y,unit=cm`, or the name of a file with a line for each of these.

        Raises:
            EventFormatError: a word is none of a mapping's, or the file cannot be read.
        """
        source = "--columns"
        if "=" not in text:
            source = text
            try:
                text = Path(text).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise EventFormatError(f"{source}: no mapping x=…,y=…, and no file of one: {error}") from error
        words: dict[str, str] = {}
        for entry in re.split(r"[,\n]", re.sub(r"#.*", "", text)):
            key, _, value = map(str.strip, entry.partition("="))
            if not entry.strip():
                continue
            if not value or not (key in (*_USUAL, "unit", "table") or key.removeprefix(EXTRA) not in (key, "")):
                raise EventFormatError(
                    f"{source}: expected NAME=COLUMN, NAME of {', '.join(_USUAL)}, unit, table, {EXTRA}…; "
                    f"found {entry.strip()!r}"
                )
            if words.setdefault(key, value) != value:
                raise EventFormatError(f"{source}: {key} is there twice: {words[key]!r} and {value!r}")
        if not words:
            raise EventFormatError(f"{source}: expected lines NAME=COLUMN, found none")
        unit, table = words.pop("unit", "mm"), words.pop("table", None)
        if unit not in MM:
            raise EventFormatError(f"{source}: unit must be one of {', '.join(MM)}, found {unit!r}")
        return cls(names=words, unit=unit, table=table)

    def find(self, available: Sequence[str], where: str) -> dict[str, str]:
        """The columns of a table by what they stand for: those of the position, and of the others which are there.

        Raises:
            EventFormatError: one of the position, or one that was named, is not there; the text has those that are.
        """
        found = {key: next((name for name in usual if name in available), None) for key, usual in _USUAL.items()}
        if self.names:  # of a table of one's own, in which that name may be a list of particles
            found["particle"] = None
        wanted = {**found, **self.names}
        missing = [
            self.names.get(key, key)
            for key, name in wanted.items()
            if (name is None and key in POSITION) or (name is not None and name not in available)
        ]
        if missing:
            raise EventFormatError(f"{where}: column {quoted(missing)} is missing; found {quoted(available)}")
        momentum = [key for key in MOMENTUM if wanted[key]]
        if momentum and len(momentum) < len(MOMENTUM):
            raise EventFormatError(f"{where}: of px, py and pz all or none must be named, found {', '.join(momentum)}")
        return {key: name for key, name in wanted.items() if name is not None}


def add_columns_argument(command: argparse.ArgumentParser) -> None:
    """Add the option `--columns`; `mapping_of` reads it."""
    command.add_argument("--columns", metavar="MAPPING", help=HELP)


def mapping_of(options: argparse.Namespace) -> ColumnMapping | None:
    """The mapping of a command line; None without one.

    Raises:
        EventFormatError: as `ColumnMapping.parse`.
    """
    return None if options.columns is None else ColumnMapping.parse(options.columns)
