"""Command-line options of every command that simulates events: which ones, and in how many processes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from typing import Final

from exatrkx.commands import at_least
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
    parser.add_argument("--process", choices=PROCESSES, default="ttbar", help="the hard scatter")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="the same seed gives the same events")
    parser.add_argument(
        "--beam-spot-z",
        type=float,
        default=BEAM_SPOT[2],
        metavar="MM",
        help="standard deviation of the vertices along the beam",
    )
    parser.add_argument("--first-event", type=number, default=0, metavar="K", help="number of the first event")


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
        options.settings = SimulationSettings(
            process=options.process, pileup=options.pileup, seed=options.seed, beam_spot_z=options.beam_spot_z
        )
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
