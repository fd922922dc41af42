"""`exatrkx perf figures` as a script; see `exatrkx_perf.commands.figures`."""

import sys

from exatrkx.commands import run_module

if __name__ == "__main__":
    sys.exit(run_module("figures.py", "exatrkx_perf.commands.figures"))
