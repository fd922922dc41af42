"""`exatrkx perf stages` as a script; see `exatrkx_perf.commands.stages`."""

import sys

from exatrkx.commands import run_module

if __name__ == "__main__":
    sys.exit(run_module("stages.py", "exatrkx_perf.commands.stages"))
