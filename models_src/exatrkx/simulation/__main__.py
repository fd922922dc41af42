"""Simulation command, `python -m exatrkx.simulation OUTPUT.parquet`: events with truth, made by Pythia 8 and ACTS."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from exatrkx.commands import add_version, program, run_command
from exatrkx.events.parquet import write_events
from exatrkx.simulation.arguments import add_event_arguments, event_numbers, parse_with_settings


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=program("python -m exatrkx.simulation"),
        description="Simulate proton–proton collisions at 14 TeV in the Generic detector and write them, with truth.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("output", type=Path, help="Parquet file to write; see exatrkx.events.parquet")
    add_event_arguments(parser)
    add_version(parser)
    return parse_with_settings(parser, arguments)


def make_events(options: argparse.Namespace) -> None:
    """Do what the command line asks for.

    Raises:
        ExatrkxError, OSError: simulation or output failed; the text gives the reason.
    """
    from exatrkx.simulation.workers import simulate  # noqa: PLC0415 - `--help` needs neither Pythia 8 nor ACTS

    numbers = event_numbers(options)
    events = tqdm(simulate(options.settings, numbers, options.workers), total=len(numbers), unit="event")
    write_events(options.output, events)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    return run_command("simulation", lambda: make_events(options))


if __name__ == "__main__":
    raise SystemExit(main())
