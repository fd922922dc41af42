"""The three columns that every network of the pipeline starts from."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from exatrkx.event import Event

LENGTH_SCALE: Final = 1000.0
"""mm per unit of the r and z columns: the tracker then fits in numbers of order one."""


def features(event: Event) -> npt.NDArray[np.float32]:
    """[N,3] FP32 array of (r / 1000 mm, φ / π, z / 1000 mm), the pipeline's `FEATURES`.

    Source: the Exa.TrkX convention (Ju et al., Eur. Phys. J. C 81 (2021) 876), with φ in (−π, π].
    """
    phi = np.arctan2(event.y, event.x)
    columns = (event.r / LENGTH_SCALE, phi / np.pi, event.z / LENGTH_SCALE)
    stacked: npt.NDArray[np.float32] = np.stack(columns, axis=1).astype(np.float32)
    return stacked


def positions(feature_array: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], ...]:
    """x, y, z in mm, each [N], from a [N,3] array of features: the inverse of `features`, to FP32 rounding."""
    r, phi, z = feature_array.T
    r_mm = r * LENGTH_SCALE
    return r_mm * np.cos(phi * np.pi), r_mm * np.sin(phi * np.pi), z * LENGTH_SCALE
