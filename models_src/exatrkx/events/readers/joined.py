"""Truth from other files of the same events: rows found by the event's number, and particles of columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from exatrkx.errors import EventFormatError
from exatrkx.events.event import Identifiers, Particles
from exatrkx.events.readers.tables import Values, floats
from exatrkx.events.readers.whole_numbers import whole_numbers

KINEMATICS: Final = ("charge", "vx", "vy", "vz", "px", "py", "pz")
"""Columns of particles: charge in e, production vertex in mm, momentum in GeV."""


class Beside:
    """Rows of a second file, by the event's number; those that come before the wanted one are kept for later."""

    def __init__(self, rows: Iterator[tuple[int, Values]]) -> None:
        self._rows = rows
        self._passed: dict[int, Values] = {}

    def of(self, number: int) -> Values | None:
        """The event's rows; None where there are none."""
        while number not in self._passed:
            row = next(self._rows, None)
            if row is None:
                return None
            self._passed[row[0]] = row[1]
        return self._passed.pop(number)


def particles_of(
    identifiers: Identifiers, values: Mapping[str, Any], primary: npt.NDArray[np.bool_], where: str
) -> Particles:
    """Particles of their columns: `pdg`, and those of `KINEMATICS`.

    Raises:
        EventFormatError: a column is not of finite numbers, or a particle is there twice.
    """
    twice = np.unique(identifiers, return_counts=True)
    if len(identifiers) > len(twice[0]):
        raise EventFormatError(f"{where}: particle {twice[0][twice[1].argmax()]} is there more than once")
    kinematics = {name: floats(values[name], f"{where}: column {name!r}").astype(np.float32) for name in KINEMATICS}
    pdg = whole_numbers(values["pdg"], pa.int64(), f"{where}: column of PDG codes")
    if {len(column) for column in (*kinematics.values(), primary, pdg)} - {len(identifiers)}:
        raise EventFormatError(f"{where}: its columns of particles differ in length")
    return Particles(particle_id=identifiers, pdg=pdg.astype(np.int32), primary=primary, **kinematics)


def flags(column: Any, where: str) -> npt.NDArray[np.bool_]:
    """[P] booleans of a column of booleans or of numbers.

    Raises:
        EventFormatError: it is of something else, or has nulls.
    """
    try:
        values = np.asarray(pc.cast(column, pa.bool_()))
    except pa.ArrowException as error:
        raise EventFormatError(f"{where}: {str(error).splitlines()[0]}") from error
    if values.dtype != np.bool_:
        raise EventFormatError(f"{where} has nulls")
    return values
