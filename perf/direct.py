"""`exatrkx perf direct` as a script; see `exatrkx_perf.commands.direct`."""

import sys

from exatrkx.commands import run_module

if __name__ == "__main__":
    sys.exit(run_module("direct.py", "exatrkx_perf.commands.direct"))
