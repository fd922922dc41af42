"""`python -m exatrkx.simulation OUTPUT.parquet`: collision events with truth, made by Pythia 8 and ACTS."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from exatrkx.errors import ExatrkxError
from exatrkx.event_file import write_events
from exatrkx.simulation.settings import PROCESSES, Settings

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
    parser.add_argument("output", type=Path, help="Parquet file to write; see exatrkx.event_file")
    parser.add_argument("--events", type=number, default=10, metavar="N", help="how many")
    parser.add_argument("--pileup", type=float, default=0.0, metavar="MU", help="mean number of pile-up collisions")
    parser.add_argument("--process", choices=PROCESSES, default="ttbar", help="the hard scatter")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="the same seed gives the same bytes")
    parser.add_argument("--first-event", type=number, default=0, metavar="K", help="number of the first event")
    parser.add_argument("--workers", type=number, default=1, metavar="W", help="processes")
    options = parser.parse_args(arguments)
    try:
        options.settings = Settings(process=options.process, pileup=options.pileup, seed=options.seed)
    except ValueError as error:
        parser.error(str(error))
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    numbers = range(options.first_event, options.first_event + options.events)
    events = simulate(options.settings, numbers, options.workers)
    try:
        write_events(options.output, tqdm(events, total=len(numbers), unit="event"))
    except (ExatrkxError, OSError) as error:
        print(f"simulation: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("simulation: interrupted, nothing written", file=sys.stderr)
        return 130
    return 0


def number(text: str) -> int:
    """An argument that counts something; its name is what an error message calls it."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must not be negative, found {value}")
    return value


if __name__ == "__main__":
    raise SystemExit(main())
