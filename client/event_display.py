"""`exatrkx display` as a script; see `exatrkx_client.event_display`."""

import sys

from exatrkx.commands import run_module

if __name__ == "__main__":
    sys.exit(run_module("event_display.py", "exatrkx_client.event_display"))
