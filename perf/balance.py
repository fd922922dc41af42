"""`exatrkx perf balance` as a script; see `exatrkx_perf.commands.balance`."""

import sys

from exatrkx.commands import run_module

if __name__ == "__main__":
    sys.exit(run_module("balance.py", "exatrkx_perf.commands.balance"))
