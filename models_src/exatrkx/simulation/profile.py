"""Detector profile: the faults of a detector and of its beam, ideal and realistic."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Final


def _fault(most: float, unit: str, text: str, *, either_sign: bool = False) -> Any:
    """A field that is 0 in an ideal detector, and the option of the command line that sets it."""
    return field(
        default=0.0, metadata={"least": -most if either_sign else 0.0, "most": most, "unit": unit, "help": text}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorProfile:
    """Faults of a detector; all zero and False is an ideal one.

    Hits are lost, displaced and added on the modules, before they are digitised: so noise merges with hits, and
    whatever reads ACTS's measurements meets the same faults.

    Attributes:
        pixel_inefficiency, short_strip_inefficiency, long_strip_inefficiency: probability that a hit is lost, each hit
            by itself, by the kind of its layer.
        dead_modules: share of the modules that see nothing, the same ones in all events of a seed.
        noise: mean number of noise hits for each hit that is left, Poisson distributed, on modules that live: each
            with equal chance, everywhere on it. They are no particle's.
        smearing: standard deviation in mm by which each hit is displaced along both axes of its module, besides the
            resolution.
        misalignment: standard deviation in mm by which each module is displaced along both of its axes, the same in all
            events of a seed; who reads the spacepoints knows nothing of it.
        geometric_clusters: hits are digitised cell by cell, and clusters that touch become one measurement, of all of
            their particles (ACTS's geometric digitisation); else only hits within 1 σ of each other do.
        beam_x, beam_y: where the beam line crosses z = 0, in mm.
        beam_tilt_x, beam_tilt_y: its slopes dx/dz and dy/dz, in mrad.

    Raises:
        ValueError: one of them is impossible; the text names it.
    """

    pixel_inefficiency: float = _fault(1.0, "P", "probability that a hit in the pixels is lost")
    short_strip_inefficiency: float = _fault(1.0, "P", "the same in the short strips")
    long_strip_inefficiency: float = _fault(1.0, "P", "the same in the long strips")
    dead_modules: float = _fault(1.0, "SHARE", "of the modules that see nothing")
    noise: float = _fault(10.0, "SHARE", "mean number of noise hits for each hit")
    smearing: float = _fault(10.0, "MM", "by which hits are displaced on their modules, standard deviation")
    misalignment: float = _fault(10.0, "MM", "by which modules are displaced in their planes, standard deviation")
    geometric_clusters: bool = field(
        default=False, metadata={"help": "cell by cell; clusters that touch become one spacepoint"}
    )
    beam_x: float = _fault(20.0, "MM", "x of the beam line at z = 0", either_sign=True)
    beam_y: float = _fault(20.0, "MM", "y of the beam line at z = 0", either_sign=True)
    beam_tilt_x: float = _fault(10.0, "MRAD", "dx/dz of the beam line", either_sign=True)
    beam_tilt_y: float = _fault(10.0, "MRAD", "dy/dz of the beam line", either_sign=True)

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if "most" in one.metadata and not one.metadata["least"] <= value <= one.metadata["most"]:
                raise ValueError(
                    f"{one.name} must be from {one.metadata['least']:g} to {one.metadata['most']:g}, found {value}"
                )

    def __str__(self) -> str:
        changed = {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name) != one.default}
        return ", ".join(f"{name} = {value}" for name, value in changed.items()) or "ideal detector"

    @property
    def alters_hits(self) -> bool:
        """Whether hits are lost, displaced or added."""
        return any(getattr(self, name) != 0.0 for name in _OF_HITS)


_OF_HITS: Final = (
    "pixel_inefficiency",
    "short_strip_inefficiency",
    "long_strip_inefficiency",
    "dead_modules",
    "noise",
    "smearing",
    "misalignment",
)

IDEAL: Final = DetectorProfile()

PROFILES: Final = {
    "ideal": IDEAL,
    "realistic": DetectorProfile(
        pixel_inefficiency=0.03,
        short_strip_inefficiency=0.03,
        long_strip_inefficiency=0.03,
        dead_modules=0.005,
        noise=0.1,
        misalignment=0.01,
        geometric_clusters=True,
        beam_x=0.3,
        beam_y=-0.2,
        beam_tilt_x=0.05,
        beam_tilt_y=-0.03,
    ),
}
"""Typical of detectors after some years: more hits lost than when new, and a beam some tenths of a mm off."""
