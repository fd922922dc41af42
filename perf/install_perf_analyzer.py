"""Make `perf_analyzer` run as one types it in this Python environment: `python perf/install_perf_analyzer.py`."""

from __future__ import annotations

import sys

from exatrkx.errors import ExatrkxError
from exatrkx_perf.errors import PerfError
from exatrkx_perf.launcher import install_launcher


def main() -> int:
    """Returns the exit code."""
    try:
        print(install_launcher())
    except (PerfError, ExatrkxError, OSError) as error:
        print(f"install_perf_analyzer.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
