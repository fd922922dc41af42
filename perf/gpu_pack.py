"""Make the bundle of `perf/gpu_check.py` for a machine without a package registry: `python perf/gpu_pack.py`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from exatrkx.commands import EXIT_CODES, add_version, run_command
from exatrkx.files import check_outputs


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXIT_CODES)
    add_version(parser)
    parser.add_argument("--output", type=Path, default=Path("build/gpu-bundle"), help="default: %(default)s")
    parser.add_argument("--python", default="3.12", help="version on the machine with the GPU (default: %(default)s)")
    parser.add_argument("--python-home", type=Path, help="an installation of it with a shared library, to take along")
    parser.add_argument("--pile-up-events", type=Path, help="Parquet events at high pile-up, to take along")
    return run_command("gpu_pack.py", lambda: write_bundle(parser.parse_args()))


def write_bundle(options: argparse.Namespace) -> None:
    """Write the bundle, and say what is in it.

    Raises:
        PerfError, OSError: something is missing, or cannot be written.
    """
    from exatrkx_perf.gpu_check.bundle import (  # noqa: PLC0415 - here, where what disturbs it is told
        ARCHIVE,
        PILE_UP_EVENTS,
        pack,
    )

    inputs = [options.pile_up_events] if options.pile_up_events else []
    check_outputs([options.output / ARCHIVE, options.output / PILE_UP_EVENTS], inputs)
    for file in pack(options.output, options.python, options.pile_up_events, options.python_home):
        print(f"{file}  {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    sys.exit(main())
