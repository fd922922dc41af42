"""`exatrkx perf batch` as a script; see `exatrkx_perf.commands.batch`."""

import sys

from exatrkx.commands import run_module

if __name__ == "__main__":
    sys.exit(run_module("batch.py", "exatrkx_perf.commands.batch"))
