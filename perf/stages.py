"""`exatrkx perf stages` as a script; see `exatrkx_perf.commands.stages`."""

import sys

from exatrkx_perf.commands.stages import main

if __name__ == "__main__":
    sys.exit(main())
