"""Settings of a track fit: field, beam line and tracker, and the command-line options that say them."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from typing import Final

from exatrkx.fitting.tracker import GENERIC, SOLENOID_FIELD, Tracker

GEV_PER_TESLA_METRE: Final = 0.299792458


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """Where and in what the tracks are fitted.

    Attributes:
        field: of the solenoid in T, along z; negative where it points the other way.
        beam: x and y of the beam line in mm.
        tracker: its resolutions and material.

    Raises:
        ValueError: the field is zero or not finite, or the beam line is not.
    """

    field: float = SOLENOID_FIELD
    beam: tuple[float, float] = (0.0, 0.0)
    tracker: Tracker = GENERIC

    def __post_init__(self) -> None:
        if not math.isfinite(self.field) or self.field == 0.0:
            raise ValueError(f"the field must be a number of T other than 0, found {self.field:g}")
        if not all(map(math.isfinite, self.beam)):
            raise ValueError(f"x and y of the beam line must be finite, found {self.beam[0]:g}, {self.beam[1]:g}")

    @property
    def bending(self) -> float:
        """Momentum across the field in GeV of a radius of 1 m."""
        return GEV_PER_TESLA_METRE * abs(self.field)


def add_fit_arguments(command: argparse.ArgumentParser) -> None:
    """Add `--field` and `--beam`; `fit_settings_of` reads them."""
    command.add_argument(
        "--field",
        type=float,
        default=SOLENOID_FIELD,
        metavar="T",
        help="of the solenoid in T along z, in which tracks are fitted (default: %(default)g)",
    )
    command.add_argument(
        "--beam",
        type=float,
        nargs=2,
        default=(0.0, 0.0),
        metavar=("X", "Y"),
        help="the beam line in mm, to which d0 and z0 of fitted tracks refer (default: 0 0)",
    )


def fit_settings_of(command: argparse.ArgumentParser, options: argparse.Namespace) -> FitSettings:
    """The settings of a command line; what cannot be ends the program with a message."""
    try:
        return FitSettings(field=options.field, beam=tuple(options.beam))
    except ValueError as error:
        command.error(f"--field, --beam: {error}")
