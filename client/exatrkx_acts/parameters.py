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
        scale: from ACTS's units (mm, rad, GeV⁻¹) to that one.
        reach: residuals up to this, in the unit shown, are in the histogram.
    """

    key: str
    symbol: str
    unit: str
    scale: float
    reach: float


PARAMETERS: Final = (
    Parameter(key="d0", symbol="d0", unit="µm", scale=1e3, reach=500.0),
    Parameter(key="z0", symbol="z0", unit="µm", scale=1e3, reach=1000.0),
    Parameter(key="phi", symbol="φ", unit="mrad", scale=1e3, reach=10.0),
    Parameter(key="theta", symbol="θ", unit="mrad", scale=1e3, reach=5.0),
    Parameter(key="qop", symbol="q/p", unit="1/TeV", scale=1e3, reach=40.0),
)
