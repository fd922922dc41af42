"""`exatrkx display` as a script; see `exatrkx_client.event_display`."""

import sys

from exatrkx_client.event_display import main

if __name__ == "__main__":
    sys.exit(main())
