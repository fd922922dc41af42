"""What it costs to find tracks directly, through the ensemble and through the custom backend: measured and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from exatrkx.project_files import project_files

MODEL_REPOSITORY: Final = project_files().model_repository
ROOT: Final = MODEL_REPOSITORY.parent
EVENTS: Final = project_files().events / "ttbar_mu0.parquet"
"""The bundled tt̄ events without pile-up: 20 of them, of about 2,000 spacepoints each."""
OUTPUT: Final = Path("out/perf")
"""Where results go unless told otherwise."""
