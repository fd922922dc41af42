"""`exatrkx perf sweep` as a script; see `exatrkx_perf.commands.sweep`."""

import sys

from exatrkx.commands import run_module

if __name__ == "__main__":
    sys.exit(run_module("sweep.py", "exatrkx_perf.commands.sweep"))
