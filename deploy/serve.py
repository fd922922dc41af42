"""`exatrkx serve` as a script, which needs nothing of this project installed; see `exatrkx_server.serve`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
for _sources in ("models_src", "client", "deploy"):  # in NVIDIA's container nothing of this project is installed
    sys.path.append(str(ROOT / _sources))

from exatrkx_server.serve import main  # noqa: E402 - after the path is set

if __name__ == "__main__":
    sys.exit(main())
