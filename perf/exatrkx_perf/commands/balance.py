"""Load balancing, measured on this machine: `python perf/balance.py`.

One server that its clients saturate, directly, through the client's own balancing over two addresses of it, and through
haproxy and Envoy where they are installed, in events per second and in CPU time for an event; then three servers, one
of which takes three times as long.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from exatrkx.files import check_outputs, write_files
from exatrkx.run_settings import asked, keep_settings
from exatrkx_perf import EVENTS, OUTPUT
from exatrkx_perf.command_line import parser_of, positive, run_command
from exatrkx_perf.events import read_sample
from exatrkx_server.repository import default_repository

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def balance(options: argparse.Namespace) -> int:
    """Measure, print and write the figures; 1 where one is not met."""
    from exatrkx_perf.balancing import BalancingFigures  # noqa: PLC0415 - `--help` needs none of these
    from exatrkx_perf.balancing_cost import cost_goals, cost_table  # noqa: PLC0415
    from exatrkx_perf.goals import lower_goals_text  # noqa: PLC0415
    from exatrkx_perf.project_figures import SPACEPOINTS  # noqa: PLC0415
    from exatrkx_perf.run_metadata import commit, this_machine  # noqa: PLC0415

    check_outputs([options.output])
    with tempfile.TemporaryDirectory(prefix="exatrkx-balancing-") as folder:
        figures = BalancingFigures(
            repository=options.model_repository or default_repository(),
            event=read_sample([EVENTS]).nearest(SPACEPOINTS),
            clients=options.clients,
            seconds=options.seconds,
            repeats=options.repeats,
            folder=Path(folder),
        )
        loads = figures.cost()
        goals = cost_goals(loads) + figures.slow_server()
    where = f"On {this_machine()}, commit {commit()}; median (range) of {options.repeats}."
    text = "\n\n".join([lower_goals_text(goals), cost_table(loads), where])
    write_files({options.output: f"# Load balancing\n\n{text}\n".encode()})
    print(text)
    keep_settings(asked(options), options.output)
    return int(any(goal.met is False for goal in goals))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = parser_of(__doc__, "exatrkx perf balance --clients 16 --output balancing.md")
    add = parser.add_argument
    add("--clients", type=positive, default=16, help="that ask at the same time (default: %(default)s)")
    add("--seconds", type=positive, default=4, help="of each measurement (default: %(default)s)")
    add("--repeats", type=positive, default=5, help="default: %(default)s")
    add("--model-repository", type=Path, help="default: that of this project")
    add("--output", type=Path, default=OUTPUT / "balancing.md", help="default: %(default)s")
    return run_command("balance.py", balance, lambda: parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
