"""Command-line options of every command that simulates events: which ones, and in how many processes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from importlib import metadata
from typing import Final

from exatrkx.commands import at_least
from exatrkx.simulation.profile import PROFILES, DetectorProfile
from exatrkx.simulation.settings import BEAM_SPOT, PROCESSES, SimulationSettings

_MOST: Final = 2**62
"""So that the sum of two is an INT64, too."""


def add_event_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that simulates events in processes of their own."""
    add_sample_arguments(parser)
    parser.add_argument("--workers", type=number, default=1, metavar="W", help="processes")


def add_sample_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which events."""
    parser.add_argument("--events", type=number, default=10, metavar="N", help="how many")
    parser.add_argument("--pileup", type=float, default=0.0, metavar="MU", help="mean number of pile-up collisions")
    parser.add_argument("--process", choices=PROCESSES, default="ttbar", help="the hard scatter, or a gun")
    parser.add_argument("--pt-hat-min", type=float, default=100.0, metavar="GEV", help="of dijet: least pT of a parton")
    parser.add_argument("--particles", type=number, default=1, metavar="N", help="of a gun: how many, or pairs")
    parser.add_argument("--pt", type=float, default=10.0, metavar="GEV", help="of a gun: their transverse momentum")
    parser.add_argument("--max-radius", type=float, default=300.0, metavar="MM", help="of displaced: of its vertices")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="the same seed gives the same events")
    parser.add_argument(
        "--beam-spot-z",
        type=float,
        default=BEAM_SPOT[2],
        metavar="MM",
        help="standard deviation of the vertices along the beam",
    )
    parser.add_argument("--first-event", type=number, default=0, metavar="K", help="number of the first event")
    _add_faults(parser)


def _add_faults(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "faults of the detector", "each instead of the profile's, in which it is 0 if ideal"
    )
    group.add_argument("--detector", choices=PROFILES, default="ideal", help="profile of faults")
    for one in fields(DetectorProfile):
        # No default here, so that the profile's stays.
        common = {"dest": one.name, "default": argparse.SUPPRESS, "help": one.metadata["help"]}
        option = f"--{one.name.replace('_', '-')}"
        if "unit" in one.metadata:
            group.add_argument(option, type=float, metavar=one.metadata["unit"], **common)
        else:
            group.add_argument(option, action=argparse.BooleanOptionalAction, **common)


def add_resume(parser: argparse.ArgumentParser, output: str) -> None:
    """Add the option that goes on with an interrupted run; `output` is what the journal is of."""
    parser.add_argument(
        "--resume", action="store_true", help=f"go on where an interrupted run with the same {output} ended"
    )


def sample_of(options: argparse.Namespace) -> dict[str, object]:
    """What decides the events of a run, their number apart: settings, first event, and what simulates them."""
    installed = {name: next(iter(metadata.distributions(name=name)), None) for name in ("pyacts", "pythia8mc")}
    versions = {name: found.version if found else "unknown" for name, found in installed.items()}
    return {**asdict(options.settings), "first event": options.first_event, **versions}


def parse_with_settings(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parsed options with `settings`, a `SimulationSettings`; exits with the reason where they make no sense."""
    options = parser.parse_args(arguments)
    try:
        given = {one.name: getattr(options, one.name) for one in fields(DetectorProfile) if one.name in options}
        detector = replace(PROFILES[options.detector], **given)
        others = {one.name: getattr(options, one.name) for one in fields(SimulationSettings) if one.name != "detector"}
        options.settings = SimulationSettings(detector=detector, **others)
    except ValueError as error:
        parser.error(str(error))
    return options


def event_numbers(options: argparse.Namespace) -> range:
    """The numbers of the events that were asked for."""
    return range(options.first_event, options.first_event + options.events)


def number(text: str) -> int:
    """An argument that counts something; its name is what an error message calls it."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must not be negative, found {value}")
    return int(at_least(int, 0, _MOST)(text))
