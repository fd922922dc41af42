"""What the custom backend asks of a GPU, counted without one: `python perf/gpu_budget.py`.

Operators and kernels started, waits of the host and bytes moved, by stage, for the smallest and the largest of the
events. `make gpu-budget` builds what it runs, and writes perf/gpu/budget.md.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from exatrkx_perf.command_line import add_event_arguments, parser_of, run_command

if TYPE_CHECKING:
    import argparse


def parse() -> argparse.Namespace:
    """The command line; see `--help`."""
    parser = parser_of(__doc__, "python perf/gpu_budget.py mu200.parquet --output out/budget.md")
    add_event_arguments(parser)
    parser.add_argument("--output", type=Path, help="Markdown file to write (default: standard output)")
    return parser.parse_args()


def budget(options: argparse.Namespace) -> int:
    """Count, and print or write the tables."""
    from exatrkx.events.readers import input_files  # noqa: PLC0415 - `--help` does not need them
    from exatrkx.files import check_outputs, write_files  # noqa: PLC0415
    from exatrkx_perf.engine_budget import budget_report  # noqa: PLC0415
    from exatrkx_perf.events import read_sample  # noqa: PLC0415

    if options.output:
        check_outputs([options.output], input_files(options.events))
    sample = read_sample(options.events, options.limit, options.spacepoints)
    events = {len(array): array for array in (min(sample.arrays, key=len), max(sample.arrays, key=len))}
    text = "\n".join(budget_report(list(events.values()))) + "\n"
    if options.output:
        write_files({options.output: text.encode()})
    else:
        print(text, end="")
    return 0


def main() -> int:
    """The command line; returns the exit code."""
    return run_command("gpu_budget.py", budget, parse)


if __name__ == "__main__":
    sys.exit(main())
