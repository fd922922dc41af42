"""`exatrkx export` as a script; see `exatrkx.serving.export`."""

import sys

from exatrkx.commands import run_module

if __name__ == "__main__":
    sys.exit(run_module("trace_models", "exatrkx.serving.export"))
