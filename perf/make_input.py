"""Write events as input for perf_analyzer: `python perf/make_input.py EVENTS… --output events.json`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from exatrkx.errors import ExatrkxError
from exatrkx_perf.arguments import add_event_arguments, sample_from
from exatrkx_perf.errors import PerfError
from exatrkx_perf.input_file import write_input_file
from exatrkx_perf.paths import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_event_arguments(parser)
    parser.add_argument("--output", type=Path, default=OUTPUT / "events.json", help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        sample = sample_from(options)
        write_input_file(sample, options.output)
    except (PerfError, ExatrkxError, OSError) as error:
        print(f"make_input.py: {error}", file=sys.stderr)
        return 2
    sizes = sample.spacepoints
    print(f"{options.output}: {len(sample)} events of {sizes.min():,} to {sizes.max():,} spacepoints")
    return 0


if __name__ == "__main__":
    sys.exit(main())
