"""CKF parameters: as ACTS sets them in its own monitoring, and as they find more here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PIXELS: Final = (7, 8, 9)
SHORT_STRIPS: Final = (12, 13, 14)
"""Volumes of the Generic detector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CkfSettings:
    """CKF parameters in which the two sets differ. Lengths in mm.

    Attributes:
        seed_volumes: volumes whose spacepoints make seeds.
        seed_r: least and greatest distance of a seed's spacepoint from the beam axis.
        seed_max_z: greatest |z| of a seed's spacepoint.
        middle_r: least and greatest distance of its middle one.
        max_impact: greatest distance from the axis at which a seed's circle may pass it.
        max_loc0: the same of a fitted track.
        seeds_per_middle: triplets with one middle spacepoint that are followed at most, the best ones.
        seed_scattering: standard deviations of scattering, as of 0.1 radiation lengths, that a seed may have.
        max_chi2: of a measurement that belongs to the track.
        max_outlier_chi2: of one that is at least an outlier; beyond it there is a hole.
        max_holes, max_outliers: that a track may have.
        max_branches: measurements of one surface that are followed at most, each in a track of its own.
        min_measurements: that a track must have.
        max_shared: measurements that a track may share with others.
    """

    seed_volumes: tuple[int, ...]
    seed_r: tuple[float, float]
    seed_max_z: float
    middle_r: tuple[float, float]
    max_impact: float
    max_loc0: float
    max_branches: int
    min_measurements: int
    seeds_per_middle: int = 1
    seed_scattering: float = 5.0
    max_chi2: float = 15.0
    max_outlier_chi2: float = 25.0
    max_holes: int = 2
    max_outliers: int = 2
    max_shared: int = 3


SETTINGS: Final = {
    "acts": CkfSettings(
        seed_volumes=PIXELS,
        seed_r=(33.0, 200.0),
        seed_max_z=2000.0,
        middle_r=(60.0, 120.0),
        max_impact=3.0,
        max_loc0=4.0,
        max_branches=10,
        min_measurements=6,
    ),
    "tuned": CkfSettings(
        seed_volumes=PIXELS + SHORT_STRIPS,
        seed_r=(0.0, 720.0),
        seed_max_z=3000.0,
        middle_r=(60.0, 550.0),
        max_impact=20.0,
        max_loc0=100.0,
        max_branches=1,
        min_measurements=7,
    ),
    "realistic": CkfSettings(
        seed_volumes=PIXELS + SHORT_STRIPS,
        seed_r=(0.0, 720.0),
        seed_max_z=3000.0,
        middle_r=(60.0, 550.0),
        max_impact=60.0,
        max_loc0=100.0,
        max_branches=1,
        min_measurements=7,
        seeds_per_middle=2,
        seed_scattering=2.0,
        max_chi2=25.0,
        max_outlier_chi2=25.0,
        max_holes=3,
        max_outliers=0,
    ),
}
"""`acts`: the cuts with which ACTS monitors itself on tt̄ events at µ = 200 (CI/physmon in its repository); there in the
Open Data Detector, not the Generic one, and not tuned here.

`tuned`: of the particles that those lose without pile-up, most were born more than 10 mm from the axis, or left fewer
than three spacepoints in the pixels: seeds of short strips, and tracks that pass the axis at a distance, find them.
More than one branch changes the efficiency at µ = 200 by 0.001 at most and makes finding half as long again; of the
tracks of six measurements most match no particle there.

`realistic`: for the detector of that name, on seeds 101 to 103. Efficiency by double majority and perfect, of `tuned`
without alignment errors → of this: tt̄ at µ = 0 0.9952, 0.8850 → 0.9980, 0.9586 (100 events; 33 → 38 ms); µ = 40 0.9952,
0.8634 → 0.9988, 0.9470 (10; 0.70 → 0.97 s); µ = 200 0.9847, 0.8377 → 0.9962, 0.9363 (2; 7.0 → 9.3 s); dijets above
1.5 TeV 0.957, 0.813 → 0.960, 0.872 (30; 55 → 72 ms). Each try, on a part of them:

- Alignment errors alone: perfect at µ = 0 0.88 → 0.94, and with χ² ≤ 25 0.955. In their place χ² ≤ 40 or 100: 0.94, but
  at µ = 200 five and 25 times the fakes, since noise fits as well.
- Holes of `tuned` at µ = 0: none 0.911, perfect 0.638; one 0.985, 0.856; two 0.9928; three and more 0.9933. At µ = 200
  three find 0.001 more than two, perfect 0.006, and cost a tenth.
- Outliers: none instead of two find as much, and 0.002 to 0.02 more are perfect.
- Fewest measurements: six find 0.0005 more, but have 0.03 more fakes at µ = 200; eight lose 0.008.
- Impact of seeds: 60 mm instead of 20 find 0.003 more at µ = 0, 0.007 at µ = 200, and of pions from up to 300 mm 0.99
  instead of 0.83.
- Two seeds with one middle spacepoint, and scattering of 2 σ instead of 5: 0.002 more at µ = 0, 0.01 in jets. Four:
  0.008 more in jets, 0.002 at µ = 200 for 13.3 s, nothing elsewhere. Two branches: 0.01 more in jets, a third slower.
- Shared measurements: two lose 0.02 in jets; four find 0.004 more there and double the fakes at µ = 200.
"""
