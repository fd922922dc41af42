"""Make `perf_analyzer` run as one types it in this Python environment: `python perf/install_perf_analyzer.py`."""

from __future__ import annotations

import sys

from exatrkx_perf.command_line import parser_of, run_command
from exatrkx_perf.installation import install_launcher


def main() -> int:
    """The command line; returns the exit code."""
    options = parser_of(__doc__).parse_args()
    return run_command("install_perf_analyzer.py", lambda _: print(install_launcher()) or 0, options)


if __name__ == "__main__":
    sys.exit(main())
