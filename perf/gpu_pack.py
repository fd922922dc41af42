"""Make the bundle of `perf/gpu_check.py` for a machine without a package registry: `python perf/gpu_pack.py`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from exatrkx_perf.errors import PerfError
from exatrkx_perf.gpu_check.bundle import pack


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("build/gpu-bundle"), help="default: %(default)s")
    parser.add_argument("--python", default="3.12", help="version on the machine with the GPU (default: %(default)s)")
    parser.add_argument("--python-home", type=Path, help="an installation of it with a shared library, to take along")
    parser.add_argument("--pile-up-events", type=Path, help="Parquet events at high pile-up, to take along")
    options = parser.parse_args()
    try:
        files = pack(options.output, options.python, options.pile_up_events, options.python_home)
    except (PerfError, OSError, subprocess.CalledProcessError) as error:
        print(f"gpu_pack.py: {error}", file=sys.stderr)
        return 1
    for file in files:
        print(f"{file}  {file.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
