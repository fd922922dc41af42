"""`exatrkx perf make-input` as a script; see `exatrkx_perf.commands.make_input`."""

import sys

from exatrkx_perf.commands.make_input import main

if __name__ == "__main__":
    sys.exit(main())
