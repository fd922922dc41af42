"""Simulation command, `python -m exatrkx.simulation OUTPUT.parquet`: events with truth, made by Pythia 8 and ACTS."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from exatrkx.commands import add_version, run_command
from exatrkx.events.parquet import write_events
from exatrkx.simulation.arguments import add_event_arguments, event_numbers, parse_with_settings

try:
    from exatrkx.simulation.workers import simulate
except ModuleNotFoundError as missing:
    raise SystemExit(f"simulation: {missing}: install 'exatrkx[simulate]' (Pythia 8 and ACTS)") from missing


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m exatrkx.simulation",
        description="Simulate proton–proton collisions at 14 TeV in the Generic detector and write them, with truth.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("output", type=Path, help="Parquet file to write; see exatrkx.events.parquet")
    add_event_arguments(parser)
    add_version(parser)
    return parse_with_settings(parser, arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    numbers = event_numbers(options)
    events = tqdm(simulate(options.settings, numbers, options.workers), total=len(numbers), unit="event")
    return run_command("simulation", lambda: write_events(options.output, events))


if __name__ == "__main__":
    raise SystemExit(main())
