"""`exatrkx perf install-analyzer` as a script; see `exatrkx_perf.commands.install_perf_analyzer`."""

import sys

from exatrkx.commands import run_module

if __name__ == "__main__":
    sys.exit(run_module("install_perf_analyzer.py", "exatrkx_perf.commands.install_perf_analyzer"))
