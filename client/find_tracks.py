"""`exatrkx find` as a script; see `exatrkx_client.find_tracks`."""

import sys

from exatrkx_client.find_tracks import main

if __name__ == "__main__":
    sys.exit(main())
