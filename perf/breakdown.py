"""`exatrkx perf breakdown` as a script; see `exatrkx_perf.commands.breakdown`."""

import sys

from exatrkx_perf.commands.breakdown import main

if __name__ == "__main__":
    sys.exit(main())
