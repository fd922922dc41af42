"""Simulation command, `python -m exatrkx.simulation OUTPUT.parquet`: events with truth, made by Pythia 8 and ACTS."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from exatrkx.commands import command_parser, run_command
from exatrkx.events.event import Event
from exatrkx.events.parquet import columns_of, event_of_columns
from exatrkx.events.parquet_writer import write_events
from exatrkx.files import check_outputs
from exatrkx.journal import Arrays, Journal
from exatrkx.progress import bar
from exatrkx.run_settings import keep_settings
from exatrkx.simulation.arguments import (
    add_event_arguments,
    add_resume,
    event_numbers,
    parse_with_settings,
    sample_of,
)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = command_parser(
        "python -m exatrkx.simulation",
        "Simulate proton–proton collisions at 14 TeV in the Generic detector and write them, with truth.",
        "exatrkx simulate events.parquet --events 100 --pileup 40 --seed 7 --workers 2",
        "exatrkx simulate real.parquet --detector realistic",
        defaults=True,
    )
    parser.add_argument("output", type=Path, help="Parquet file to write; see exatrkx.events.parquet")
    add_event_arguments(parser)
    add_resume(parser, "output")
    return parse_with_settings(parser, arguments)


def write_simulated(options: argparse.Namespace) -> None:
    """Do what the command line asks for.

    Raises:
        ExatrkxError, OSError: simulation or output failed; the text gives the reason.
    """
    from exatrkx.simulation.chain import simulate  # noqa: PLC0415 - Pythia 8 and ACTS; `--help` needs none

    numbers, run = event_numbers(options), sample_of(options)
    check_outputs([options.output])
    with Journal(options.output, run, resume=options.resume) as journal:
        events = journal.resumed(
            numbers, lambda left: simulate(options.settings, left, options.workers), _entry, _event
        )
        write_events(options.output, bar(events, total=len(numbers)))
    keep_settings({"events": options.events, **run}, options.output)


def _entry(event: Event) -> Arrays:
    return {"event_id": np.int64(event.event_id), **columns_of(event)}


def _event(entry: Arrays) -> Event:
    return event_of_columns(int(entry["event_id"]), entry)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command("simulation", lambda: write_simulated(parse(arguments)))


if __name__ == "__main__":
    raise SystemExit(main())
