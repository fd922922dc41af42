"""`python -m exatrkx.simulation OUTPUT.parquet`: simulated events, with truth, from nothing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from exatrkx.errors import ExatrkxError
from exatrkx.event_file import write_events
from exatrkx.simulation.workers import Settings, simulate


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m exatrkx.simulation", description=__doc__)
    parser.add_argument("output", type=Path, help="Parquet file to write")
    parser.add_argument("--events", type=int, default=10, help="how many (10)")
    parser.add_argument("--pileup", type=float, default=0.0, metavar="MU", help="mean number of pile-up collisions (0)")
    parser.add_argument("--process", default="ttbar", help="hard scatter: ttbar, zmumu or minbias (ttbar)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same bytes (1)")
    parser.add_argument("--first-event", type=int, default=0, metavar="K", help="number of the first event (0)")
    parser.add_argument("--workers", type=int, default=1, help="processes (1)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    settings = Settings(process=options.process, pileup=options.pileup, seed=options.seed)
    events = simulate(settings, options.first_event, options.events, options.workers)
    try:
        write_events(options.output, tqdm(events, total=options.events, unit="event"))
    except (ExatrkxError, OSError) as error:
        print(f"simulation: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
