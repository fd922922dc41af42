"""What it costs to find tracks directly, through the ensemble and through the custom backend: measured and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
MODEL_REPOSITORY: Final = ROOT / "model_repository"
EVENTS: Final = ROOT / "data" / "events" / "ttbar_mu0.parquet"
"""The bundled tt̄ events without pile-up: 20 of them, of about 2,000 spacepoints each."""
OUTPUT: Final = Path("out/perf")
"""Where results go unless told otherwise."""
