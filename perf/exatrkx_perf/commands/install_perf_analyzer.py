"""Make `perf_analyzer` run as one types it in this Python environment: `python perf/install_perf_analyzer.py`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from exatrkx_perf.command_line import parser_of, run_command
from exatrkx_perf.installation import install_launcher

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def install(_options: argparse.Namespace) -> int:
    """Install the launcher, and say where it is."""
    print(install_launcher())
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = parser_of(__doc__, "exatrkx perf install-analyzer")
    return run_command("install_perf_analyzer.py", install, lambda: parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
