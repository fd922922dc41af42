"""Detector resolution: Gaussian smearing of a hit's two local coordinates.

The cells are those of the TrackML detector (arXiv:1904.06778): pixels, short strips and long strips. The standard
deviation is that of a uniform distribution over one cell, pitch / √12.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Final

CELLS: Final = {
    (7, 8, 9): (0.050, 0.05625),  # pixels
    (12, 13, 14): (0.080, 1.2),  # short strips
    (16, 17, 18): (0.120, 10.8),  # long strips
}
"""Volumes of the Generic detector, and the pitch in mm of their cells along the two local axes."""

VOLUMES: Final = tuple(volume for volumes in CELLS for volume in volumes)


def write_smearing(path: Path) -> None:
    """Write the file that ACTS's `readDigiConfigFromJson` reads."""
    entries = [
        {"volume": volume, "value": {"smearing": [_smearing(axis, pitch) for axis, pitch in enumerate(pitches)]}}
        for volumes, pitches in CELLS.items()
        for volume in volumes
    ]
    header = {"acts-geometry-hierarchy-map": {"format-version": 0, "value-identifier": "digitization-configuration"}}
    path.write_text(json.dumps({**header, "entries": entries}))


def _smearing(axis: int, pitch: float) -> dict[str, Any]:
    return {"index": axis, "mean": 0.0, "stddev": pitch / math.sqrt(12.0), "type": "Gauss"}
