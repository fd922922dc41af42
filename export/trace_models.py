"""`exatrkx export` as a script; see `exatrkx.serving.export`."""

import sys

from exatrkx.serving.export import main

if __name__ == "__main__":
    sys.exit(main())
