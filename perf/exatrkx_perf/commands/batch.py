"""Throughput of a batch beside that of one client, measured on this machine: `python perf/batch.py`.

`exatrkx batch` and `exatrkx find` as they are typed, over the same files, with the same number of requests in flight,
in turn: events per second while the server answers, and of the commands from beginning to end.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from exatrkx.files import check_outputs, write_files
from exatrkx.run_settings import asked, keep_settings
from exatrkx_perf import OUTPUT
from exatrkx_perf.command_line import parser_of, positive, run_command
from exatrkx_server.repository import default_repository

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def batch(options: argparse.Namespace) -> int:
    """Measure, print and write the figures; 1 where one is not met."""
    from exatrkx_perf.batching import BatchFigures  # noqa: PLC0415 - `--help` needs none of these
    from exatrkx_perf.goals import lower_goals_text  # noqa: PLC0415
    from exatrkx_perf.run_metadata import commit, this_machine  # noqa: PLC0415

    check_outputs([options.output])
    with tempfile.TemporaryDirectory(prefix="exatrkx-batching-") as folder:
        goals = BatchFigures(
            repository=options.model_repository or default_repository(),
            files=options.files,
            events=options.events,
            workers=options.workers,
            in_flight=options.in_flight,
            repeats=options.repeats,
            folder=Path(folder),
        ).goals()
    where = f"On {this_machine()}, commit {commit()}; median (range) of {options.repeats}."
    text = f"{lower_goals_text(goals)}\n\n{where}"
    write_files({options.output: f"# Batch\n\n{text}\n".encode()})
    print(text)
    keep_settings(asked(options), options.output)
    return int(any(goal.met is False for goal in goals))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = parser_of(__doc__, "exatrkx perf batch --files 100 --workers 2")
    add = parser.add_argument
    add("--files", type=positive, default=100, help="default: %(default)s")
    add("--events", type=positive, default=20, help="of each file (default: %(default)s)")
    add("--workers", type=positive, default=2, help="of the batch (default: %(default)s)")
    add("--in-flight", type=positive, default=4, help="of each worker (default: %(default)s)")
    add("--repeats", type=positive, default=5, help="default: %(default)s")
    add("--model-repository", type=Path, help="default: that of this project")
    add("--output", type=Path, default=OUTPUT / "batch.md", help="default: %(default)s")
    return run_command("batch.py", batch, lambda: parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
