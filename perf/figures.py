"""The project's own figures, measured on this machine: `python perf/figures.py`.

The direct pipeline and one client of the ensemble on a tt̄ event of about 2,000 spacepoints, memory and start of a
server with every model; with --commands also `make demo` and `make test` in a fresh clone of the last commit.
"""

from __future__ import annotations

import argparse
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from exatrkx.errors import ExatrkxError
from exatrkx.events.event import features
from exatrkx.events.readers import read_events
from exatrkx_perf.arguments import list_of, positive
from exatrkx_perf.errors import PerfError
from exatrkx_perf.events import read_sample
from exatrkx_perf.goals import SPACEPOINTS, Goal, Stopwatch, command_goals
from exatrkx_perf.machine import commit, this_machine
from exatrkx_perf.paths import EVENTS, MODEL_REPOSITORY, OUTPUT
from exatrkx_perf.tables import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def goals_text(goals: Iterable[Goal]) -> str:
    """A row for each figure."""
    rows = [
        [
            goal.name,
            f"{format(goal.measured, '.1f' if goal.unit else '.2f')} {goal.unit}".strip(),
            f"{goal.at_most:g} {goal.unit}".strip(),
            "yes" if goal.met else "no",
        ]
        for goal in goals
    ]
    return table(["figure", "measured", "at most", "met"], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 1 where a figure is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--threads", type=list_of(positive), default=(1, 2), help="of each process (default: 1,2)")
    add("--repeats", type=positive, default=3, help="default: %(default)s")
    add(
        "--crowded", type=Path, help="file of events of high pile-up, the first of which goes through the ensemble, too"
    )
    add("--commands", action="store_true", help="time `make demo` and `make test` in a fresh clone, too")
    add("--model-repository", type=Path, default=MODEL_REPOSITORY)
    add("--output", type=Path, default=OUTPUT / "figures.md", help="default: %(default)s")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are stopped
    options.output.parent.mkdir(parents=True, exist_ok=True)
    try:
        event = read_sample([EVENTS]).nearest(SPACEPOINTS)
        goals: list[Goal] = []
        for threads in options.threads:
            watch = Stopwatch(
                repository=options.model_repository,
                event=event,
                threads=threads,
                repeats=options.repeats,
                log_folder=options.output.parent,
            )
            goals += watch.goals()
            if options.crowded:
                crowd = features(next(iter(read_events(options.crowded))))
                goals += replace(watch, event=crowd).crowded_goals()
        if options.commands:
            goals += command_goals()
    except (PerfError, ExatrkxError, OSError) as error:
        print(f"figures.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    text = (
        f"{goals_text(goals)}\n\nOn {this_machine()}, commit {commit()}; median (range) of {options.repeats} repeats."
    )
    options.output.write_text(f"# Figures\n\n{text}\n")
    print(text)
    return 0 if all(goal.met for goal in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
