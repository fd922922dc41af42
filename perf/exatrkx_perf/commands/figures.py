"""The project's own figures, measured on this machine: `python perf/figures.py`.

The direct pipeline and one client of the ensemble on a tt̄ event of about 2,000 spacepoints, memory and start of a
server with every model; with --commands also `make demo` and `make test` in a fresh clone of the last commit.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from exatrkx.files import check_outputs, write_files
from exatrkx.progress import bar
from exatrkx.run_settings import asked, keep_settings
from exatrkx_perf import EVENTS, OUTPUT
from exatrkx_perf.command_line import list_of, parser_of, positive, run_command
from exatrkx_perf.events import read_sample
from exatrkx_perf.goals import Goal, project_goals_text
from exatrkx_server.repository import default_repository

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def figures(options: argparse.Namespace) -> int:
    """Measure, print and write the figures; 1 where one is not met."""
    from exatrkx_perf.project_figures import SPACEPOINTS, ProjectFigures, command_goals  # noqa: PLC0415 - `--help` needs none of these
    from exatrkx_perf.run_metadata import commit, this_machine  # noqa: PLC0415

    check_outputs([options.output], [options.crowded] if options.crowded else ())
    event = read_sample([EVENTS]).nearest(SPACEPOINTS)
    crowded = read_sample([options.crowded], limit=1).arrays[0] if options.crowded else None
    goals: list[Goal] = []
    for threads in bar(options.threads, unit="number of threads"):
        found = ProjectFigures(
            repository=options.model_repository or default_repository(),
            event=event,
            threads=threads,
            repeats=options.repeats,
            log_folder=options.output.parent,
        )
        goals += found.goals()
        if crowded is not None:
            goals += replace(found, event=crowded).crowded_goals()
    if options.commands:
        goals += command_goals()
    where = f"On {this_machine()}, commit {commit()}; median (range) of {options.repeats} repeats."
    text = f"{project_goals_text(goals)}\n\n{where}"
    write_files({options.output: f"# Figures\n\n{text}\n".encode()})
    print(text)
    keep_settings(asked(options), options.output)
    return 0 if all(goal.met for goal in goals) else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = parser_of(__doc__, "exatrkx perf figures --threads 1 --repeats 5")
    add = parser.add_argument
    add("--threads", type=list_of(positive), default=(1, 2), help="of each process (default: 1,2)")
    add("--repeats", type=positive, default=3, help="default: %(default)s")
    crowded = "file of events of high pile-up, the first of which goes through the ensemble, too"
    add("--crowded", type=Path, help=crowded)
    add("--commands", action="store_true", help="time `make demo` and `make test` in a fresh clone, too")
    add("--model-repository", type=Path, help="default: that of this project")
    add("--output", type=Path, default=OUTPUT / "figures.md", help="default: %(default)s")
    return run_command("figures.py", figures, lambda: parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
