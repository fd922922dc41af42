"""Detector resolution: Gaussian smearing of a hit's two local coordinates, or clusters of the cells that it passes.

The cells are those of the TrackML detector (arXiv:1904.06778): pixels, short strips and long strips. The standard
deviation is that of a uniform distribution over one cell, pitch / √12.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from exatrkx.fitting.tracker import LONG_STRIP_PITCH, PIXEL_PITCH, SHORT_STRIP_PITCH

if TYPE_CHECKING:
    from exatrkx.simulation.modules import Modules

PIXELS: Final = (7, 8, 9)
SHORT_STRIPS: Final = (12, 13, 14)
LONG_STRIPS: Final = (16, 17, 18)
"""Volumes of the Generic detector."""

CELLS: Final = {
    PIXELS: PIXEL_PITCH,
    SHORT_STRIPS: SHORT_STRIP_PITCH,
    LONG_STRIPS: LONG_STRIP_PITCH,
}
"""Volumes of the Generic detector, and the pitch in mm of their cells along the two local axes."""

VOLUMES: Final = tuple(volume for volumes in CELLS for volume in volumes)


def write_smearing(path: Path) -> None:
    """Write the file that ACTS's `readDigiConfigFromJson` reads, for Gaussian smearing."""
    _write(
        path,
        {
            volume: {"smearing": [_smearing(axis, pitch) for axis, pitch in enumerate(pitches)]}
            for volumes, pitches in CELLS.items()
            for volume in volumes
        },
    )


def write_clustering(path: Path, modules: Modules) -> None:
    """Write the same for clusters of cells, each with a signal as long as the way through it."""
    _write(
        path,
        {
            volume: {"geometric": _geometric(modules, volume, pitches)}
            for volumes, pitches in CELLS.items()
            for volume in volumes
        },
    )


def _write(path: Path, digitization: dict[int, dict[str, Any]]) -> None:
    entries = [{"volume": volume, "value": value} for volume, value in digitization.items()]
    header = {"acts-geometry-hierarchy-map": {"format-version": 0, "value-identifier": "digitization-configuration"}}
    path.write_text(json.dumps({**header, "entries": entries}))


def _smearing(axis: int, pitch: float) -> dict[str, Any]:
    return {"index": axis, "mean": 0.0, "stddev": pitch / math.sqrt(12.0), "type": "Gauss"}


def _geometric(modules: Modules, volume: int, pitches: tuple[float, float]) -> dict[str, Any]:
    of_volume = modules.volume == volume
    low, high, length = modules.half[of_volume].max(axis=0)
    cells = [math.ceil(half / pitch) for half, pitch in zip((max(low, high), length), pitches, strict=True)]
    return {
        "indices": [0, 1],
        "digital": False,
        "threshold": 0.0,
        "thickness": float(modules.thickness[of_volume].max()),
        "segmentation": {
            "binningdata": [
                {"type": "equidistant", "option": "open", "value": value, "bins": 2 * half, "min": -end, "max": end}
                for value, half, end in zip(
                    ("binX", "binY"), cells, (n * pitch for n, pitch in zip(cells, pitches, strict=True)), strict=True
                )
            ]
        },
    }
