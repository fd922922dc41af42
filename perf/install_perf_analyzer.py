"""`exatrkx perf install-analyzer` as a script; see `exatrkx_perf.commands.install_perf_analyzer`."""

import sys

from exatrkx_perf.commands.install_perf_analyzer import main

if __name__ == "__main__":
    sys.exit(main())
