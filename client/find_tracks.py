"""`exatrkx find` as a script; see `exatrkx_client.find_tracks`."""

import sys

from exatrkx.commands import run_module

if __name__ == "__main__":
    sys.exit(run_module("find_tracks.py", "exatrkx_client.find_tracks"))
