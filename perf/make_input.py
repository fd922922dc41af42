"""`exatrkx perf make-input` as a script; see `exatrkx_perf.commands.make_input`."""

import sys

from exatrkx.commands import run_module

if __name__ == "__main__":
    sys.exit(run_module("make_input.py", "exatrkx_perf.commands.make_input"))
