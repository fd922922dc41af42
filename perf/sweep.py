"""`exatrkx perf sweep` as a script; see `exatrkx_perf.commands.sweep`."""

import sys

from exatrkx_perf.commands.sweep import main

if __name__ == "__main__":
    sys.exit(main())
