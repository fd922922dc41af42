"""`exatrkx perf compare` as a script; see `exatrkx_perf.commands.compare`."""

import sys

from exatrkx.commands import run_module

if __name__ == "__main__":
    sys.exit(run_module("compare.py", "exatrkx_perf.commands.compare"))
