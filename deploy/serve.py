"""`exatrkx serve` as a script, which needs nothing of this project installed; see `exatrkx_server.serve`."""

import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
for _sources in ("models_src", "client", "deploy"):  # in NVIDIA's container nothing of this project is installed
    sys.path.append(str(ROOT / _sources))

if __name__ == "__main__":
    # By its name, after the path is set.
    sys.exit(import_module("exatrkx.commands").run_module("serve.py", "exatrkx_server.serve"))
