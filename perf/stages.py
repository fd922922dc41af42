"""Time each stage beside the libraries that do the same: `python perf/stages.py EVENTS… --output stages.csv`.

From the events, those nearest to --sizes are taken; without events, generated points stand in for their embeddings, and
no network is timed. Peak memory includes what a library loads when it is first called. Nothing else should run on the
machine: the load average is in every row, so that a reader can tell. Beside the CSV file there will be a Markdown file
of the same name, with what was measured, how it grows, and whether it is what the stages are asked to reach.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stage_benchmarks.comparisons import Settings, rows_for
from stage_benchmarks.growth import with_growth
from stage_benchmarks.inputs import EDGES_OF_STAND_IN, from_events, stand_in
from stage_benchmarks.report import growth_text, report, requirements_text
from stage_benchmarks.rows import HEADER, Circumstances, show, write_csv

from exatrkx.errors import ExatrkxError
from exatrkx.stages import native
from exatrkx.working_point import WEIGHTS_DIR
from exatrkx_perf.arguments import positive
from exatrkx_perf.machine import commit, this_machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stage_benchmarks.inputs import Input

SIZES: Final = (1_300, 10_000, 100_000)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 1 when two methods disagree, 2 without usable events."""
    options = _parser().parse_args(arguments)
    try:
        events = events_of(options)
    except (ExatrkxError, OSError) as error:
        print(f"stages.py: {error}", file=sys.stderr)
        return 2
    settings = Settings(
        weights=options.weights,
        threads=options.threads,
        repeats=options.repeats,
        seed=options.seed,
        largest_for_others=options.largest_for_others,
        where=circumstances(),
    )
    print(f"input: {events[0].source}; 1-minute load {os.getloadavg()[0]:.2f} on {settings.where.machine}")
    print(HEADER)
    rows = []
    for event in events:
        for row in rows_for(event, settings):
            print(show(row), flush=True)
            rows.append(row)
    rows = with_growth(rows)
    print("", growth_text(rows), requirements_text(rows), sep="\n\n")
    if options.output is not None:
        write_csv(rows, options.output)
        options.output.with_suffix(".md").write_text(f"# Stages\n\n{report(rows)}")
    return 0 if all(row.same_answer for row in rows) else 1


def events_of(options: argparse.Namespace) -> list[Input]:
    """The events that the command line asks for, the smallest first.

    Raises:
        ExatrkxError: there are no events, or they or the weights cannot be read.
    """
    edges = options.edges_per_spacepoint
    if options.events:
        events = from_events(options.events, options.sizes, options.weights, edges)
    else:
        events = [stand_in(size, edges or EDGES_OF_STAND_IN, options.seed) for size in options.sizes]
    return sorted(events, key=lambda event: len(event.embedding))


def circumstances() -> Circumstances:
    """This machine and this source; what is written here is no change of the source."""
    machine = this_machine()
    versions = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    return Circumstances(
        machine=str(machine),
        versions=f"Python {machine.python}, {versions}",
        commit=commit(ignore=("out", "perf/baseline")),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("events", type=Path, nargs="*", help="files of simulated events; else a stand-in")
    add("--weights", type=Path, default=WEIGHTS_DIR, help="folder of networks and working point")
    add("--sizes", type=positive, nargs="+", default=SIZES, help="spacepoints (default: %(default)s)")
    add(
        "--edges-per-spacepoint",
        type=float,
        help="choose for each event the radius that gives so many, so that the graph grows as the event does (default: "
        f"the working point's radius; of the stand-in {EDGES_OF_STAND_IN:g} edges)",
    )
    add("--seed", type=int, default=1, help="default: %(default)s")
    add("--threads", type=positive, default=native.default_threads(), help="default: %(default)s")
    add("--repeats", type=positive, default=30, help="at most; default: %(default)s")
    add(
        "--largest-for-others",
        type=int,
        default=100_000,
        help="spacepoints above which scikit-learn and faiss are left out; default: %(default)s",
    )
    add("--output", type=Path, help="CSV file; a Markdown file is written beside it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
