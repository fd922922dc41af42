"""Time each stage beside the libraries that do the same: `python perf/stages.py EVENTS… --output stages.csv`.

From the events, those nearest to --sizes are taken; without events, generated points stand in for their embeddings, and
no network is timed. Peak memory includes what a library loads when it is first called. Nothing else should run on the
machine: the load average is in every row, so that a reader can tell. Beside the CSV file there will be a Markdown file
of the same name, with what was measured, how it grows, and whether it is what the stages are asked to reach.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exatrkx.commands import at_least
from exatrkx.events.readers import input_files
from exatrkx.files import check_outputs, write_files
from exatrkx.run_settings import asked, keep_settings
from exatrkx.stages import native
from exatrkx.working_point import WEIGHTS_DIR
from exatrkx_perf.command_line import parser_of, positive, run_command

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from exatrkx_perf.stage_inputs import Input

SIZES: Final = (1_300, 10_000, 100_000)
EDGES_OF_STAND_IN: Final = 34.0
"""For each spacepoint, where the command line names no number."""


def stages(options: argparse.Namespace) -> int:
    """Measure, print and write the rows; 1 when two methods disagree."""
    from exatrkx_perf.run_metadata import environment  # noqa: PLC0415 - `--help` needs none of these
    from exatrkx_perf.stage_benchmark import Benchmark, rows_for  # noqa: PLC0415
    from exatrkx_perf.stage_rows import HEADER, csv_of, growth_text, report, show, stage_goals_text, with_growth  # noqa: PLC0415

    if options.output is not None:
        check_outputs(
            [options.output, options.output.with_suffix(".md")], input_files(options.events) if options.events else ()
        )
    events = events_of(options)
    benchmark = Benchmark(
        weights=options.weights,
        threads=options.threads,
        repeats=options.repeats,
        seed=options.seed,
        largest_for_others=options.largest_for_others,
        environment=environment(),
    )
    print(f"input: {events[0].source}; 1-minute load {os.getloadavg()[0]:.2f} on {benchmark.environment['machine']}")
    print(HEADER)
    rows = []
    for event in events:
        for row in rows_for(event, benchmark):
            print(show(row), flush=True)
            rows.append(row)
    rows = with_growth(rows)
    print("", growth_text(rows), stage_goals_text(rows), sep="\n\n")
    if options.output is not None:
        report_file = options.output.with_suffix(".md")
        write_files({options.output: csv_of(rows), report_file: f"# Stages\n\n{report(rows)}".encode()})
        keep_settings(asked(options), options.output)
    return 0 if all(row.same_answer for row in rows) else 1


def events_of(options: argparse.Namespace) -> list[Input]:
    """The events that the command line asks for, the smallest first.

    Raises:
        ExatrkxError: there are no events, or they or the weights cannot be read.
    """
    from exatrkx_perf.stage_inputs import from_events, stand_in  # noqa: PLC0415 - as above

    edges = options.edges_per_spacepoint
    if options.events:
        events = from_events(options.events, options.sizes, options.weights, edges)
    else:
        events = [stand_in(size, edges or EDGES_OF_STAND_IN, options.seed) for size in options.sizes]
    return sorted(events, key=lambda event: len(event.embedding))


def _parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, "exatrkx perf stages events.parquet --output stages.csv")
    add = parser.add_argument
    add("events", type=Path, nargs="*", help="files of simulated events; else a stand-in")
    add("--weights", type=Path, default=WEIGHTS_DIR, help="folder of networks and working point")
    add("--sizes", type=positive, nargs="+", default=SIZES, help="spacepoints (default: %(default)s)")
    add(
        "--edges-per-spacepoint",
        type=at_least(float, 0),
        help="choose for each event the radius that gives so many, so that the graph grows as the event does (default: "
        f"the working point's radius; of the stand-in {EDGES_OF_STAND_IN:g} edges)",
    )
    add("--seed", type=at_least(int, 0), default=1, help="default: %(default)s")
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


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 1 when two methods disagree, 2 without usable events."""
    return run_command("stages.py", stages, lambda: _parser().parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
