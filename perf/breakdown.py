"""`exatrkx perf breakdown` as a script; see `exatrkx_perf.commands.breakdown`."""

import sys

from exatrkx.commands import run_module

if __name__ == "__main__":
    sys.exit(run_module("breakdown.py", "exatrkx_perf.commands.breakdown"))
