"""`exatrkx perf direct` as a script; see `exatrkx_perf.commands.direct`."""

import sys

from exatrkx_perf.commands.direct import main

if __name__ == "__main__":
    sys.exit(main())
