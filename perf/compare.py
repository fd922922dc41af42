"""`exatrkx perf compare` as a script; see `exatrkx_perf.commands.compare`."""

import sys

from exatrkx_perf.commands.compare import main

if __name__ == "__main__":
    sys.exit(main())
