"""Residuals and pulls of the helix fit: how far fitted tracks are from the particles that they match."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from exatrkx.events.truth import require_truth
from exatrkx.fitting.settings import FitSettings
from exatrkx.fitting.tracks import TrackFits, fit_tracks, true_tracks
from exatrkx.performance.matching import Matching
from exatrkx.performance.selection import is_electron
from exatrkx.reporting.markdown import markdown_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exatrkx.events.event import Event, IntArray
    from exatrkx.events.truth import BoolArray
    from exatrkx.performance.matching import Candidates
    from exatrkx.validation.evaluation import Evaluation

Array = npt.NDArray[np.float64]

PARAMETERS: Final = {
    "d0": ("µm", 1e3),
    "z0": ("µm", 1e3),
    "φ": ("mrad", 1e3),
    "η": ("10⁻³", 1e3),
    "q/pT": ("1/TeV", 1e3),
}
"""In which unit a residual is shown, and how many of them one of mm, rad or 1/GeV is."""

_NONE: Final = np.zeros((len(PARAMETERS), 0))

_SIDE: Final = 0.158655
"""Share of a Gaussian beyond one standard deviation, on one side."""


@dataclass(slots=True)
class FittedTracks:
    """Residuals and errors of the candidates that match a selected particle by double majority, but for electrons.

    Electrons radiate, which the fit does not know.

    Attributes:
        settings: field and beam line of the fit.
        residuals: [5,T] of each event, fitted − true, in the order of `PARAMETERS`; in mm, rad and 1/GeV.
        errors: [5,T] the fit's own.
        unfitted: candidates without a fit.
        reduced_chi2: [T] of each event, χ² / ndf.
    """

    settings: FitSettings = field(default_factory=FitSettings)
    residuals: list[Array] = field(default_factory=list)
    errors: list[Array] = field(default_factory=list)
    unfitted: int = 0
    reduced_chi2: list[Array] = field(default_factory=list)

    def count(self, labels: IntArray, candidates: Candidates, selected: BoolArray, event: Event) -> None:
        """Fit the candidates of one event that count."""
        particles = require_truth(event).particles
        wanted = np.append(selected & ~is_electron(particles), False)  # the last for candidates without a particle
        chosen = candidates.matched(Matching.DOUBLE_MAJORITY) & wanted[candidates.particle]
        counted = np.isin(labels, candidates.label[chosen])
        fits = fit_tracks(event.x, event.y, event.z, np.where(counted, labels, -1), self.settings)
        of = candidates.particle[chosen]
        fitted = (fits["ndf"] > 0) & (particles.pt[of] > 0.0)  # a momentum may be unknown
        of, fits = of[fitted], fits[fitted]
        position, momentum = (
            np.stack([getattr(particles, name)[of] for name in names])
            for names in (("vx", "vy", "vz"), ("px", "py", "pz"))
        )
        true = true_tracks(position, momentum, particles.charge[of], self.settings)
        self.residuals.append(_residuals(fits, true))
        self.errors.append(_errors(fits))
        self.unfitted += int(np.count_nonzero(~fitted))
        self.reduced_chi2.append(fits["chi2"] / fits["ndf"])


def fits_table(evaluations: Sequence[Evaluation]) -> list[str]:
    """A row for each parameter and finder; nothing at all where nothing was fitted."""
    rows = []
    for parameter, (name, (unit, scale)) in enumerate(PARAMETERS.items()):
        for one in evaluations:
            fits = one.result.fits
            residuals, errors = (np.concatenate([_NONE, *parts], axis=1) for parts in (fits.residuals, fits.errors))
            if not residuals.size:
                continue
            middle, wide = median_and_width(residuals[parameter] * scale)
            pull, pull_width = median_and_width(residuals[parameter] / errors[parameter])
            figures = (f"{middle:.3f}", f"{wide:.3f}", f"{pull:.3f}", f"{pull_width:.3f}")
            rows.append((one.finder.name, name, unit, str(residuals.shape[1]), str(fits.unfitted), *figures))
    columns = ("unit", "tracks", "without a fit", "residual: median", "width", "pull: median", "width")
    return markdown_table(("helix fit of", "parameter", *columns), rows) if rows else []


def median_and_width(values: Array) -> tuple[float, float]:
    """Median, and half of the central 68.27 %: the standard deviation of a Gaussian, whatever its tails."""
    low, middle, high = np.quantile(values, (_SIDE, 0.5, 1.0 - _SIDE))
    return float(middle), float(high - low) / 2.0


def _residuals(fits: TrackFits, true: TrackFits) -> Array:
    phi = np.mod(fits["phi"] - true["phi"] + np.pi, 2.0 * np.pi) - np.pi
    curvature = fits["charge"] / fits["pt"] - true["charge"] / true["pt"]
    return np.stack((*(fits[name] - true[name] for name in ("d0", "z0")), phi, fits["eta"] - true["eta"], curvature))


def _errors(fits: TrackFits) -> Array:
    names = ("d0", "z0", "phi", "eta")
    return np.stack((*(fits[f"{name}_error"] for name in names), fits["pt_error"] / fits["pt"] ** 2))
