"""The parameters of a track at the perigee, and the units in which they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One of them.

    Attributes:
        key: its name in ACTS's histograms.
        symbol: what it is called in a table.
        unit: of its residual, as it is shown.
        reach: residuals up to this, in the unit shown, are in the histogram.
    """

    key: str
    symbol: str
    unit: str
    reach: float


SCALE: Final = 1e3
"""From ACTS's units (mm, rad, GeV⁻¹) to those shown."""

PARAMETERS: Final = (
    Parameter(key="d0", symbol="d0", unit="µm", reach=500.0),
    Parameter(key="z0", symbol="z0", unit="µm", reach=1000.0),
    Parameter(key="phi", symbol="φ", unit="mrad", reach=10.0),
    Parameter(key="theta", symbol="θ", unit="mrad", reach=5.0),
    Parameter(key="qop", symbol="q/p", unit="1/TeV", reach=40.0),
)
