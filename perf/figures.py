"""`exatrkx perf figures` as a script; see `exatrkx_perf.commands.figures`."""

import sys

from exatrkx_perf.commands.figures import main

if __name__ == "__main__":
    sys.exit(main())
