"""Write events as input for perf_analyzer: `python perf/make_input.py EVENTS… --output events.json`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from exatrkx.events.readers import input_files
from exatrkx.files import check_outputs
from exatrkx_perf import OUTPUT
from exatrkx_perf.command_line import add_event_arguments, parser_of, run_command
from exatrkx_perf.events import read_sample, write_input_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def write(options: argparse.Namespace) -> int:
    """Write the file, and say what is in it."""
    check_outputs([options.output], input_files(options.events))
    sample = read_sample(options.events, options.limit, options.spacepoints)
    write_input_file(sample, options.output)
    sizes = sample.spacepoints
    print(f"{options.output}: {len(sample)} events of {sizes.min():,} to {sizes.max():,} spacepoints")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = parser_of(__doc__, "exatrkx perf make-input events.parquet --output events.json")
    add_event_arguments(parser)
    parser.add_argument("--output", type=Path, default=OUTPUT / "events.json", help="default: %(default)s")
    return run_command("make_input.py", write, lambda: parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
