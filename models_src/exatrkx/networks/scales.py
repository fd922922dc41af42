"""Columns and scales of the networks' features.

They are read as attributes of this module, which TorchScript takes for constants; names in a module's own globals it
does not know.
"""

from __future__ import annotations

from typing import Final

SMALLEST_R: Final = 1e-3
"""1 mm in the columns' unit; slopes are taken over at least this much of r, so that none is infinite."""

CURVATURE_SCALE: Final = 0.3
"""Δφ/Δr, in rad/m, of a particle of pT = 1 GeV in 2 T: 0.15 · B / pT."""

VERTEX_SCALE: Final = 0.1
"""Spread of the collisions along the beam, in m, to the nearest power of ten."""

SHORTEST_CHORD: Final = 1e-4
"""0.1 mm in m: what shorter chords are taken for, so that none has an infinite curvature."""

FARTHEST_INTERCEPT: Final = 3.0
"""In m, the detector's half length: what is farther away, or undefined, is as good as there."""

CURVATURE_STEP: Final = 0.02
POLAR_STEP: Final = 0.002
INTERCEPT_STEP: Final = 0.001
"""Differences, in 1/m, rad and m, at which the scale turns from linear to logarithmic: the resolution at best."""

# Columns of the table of nodes: the networks' features of a spacepoint first, then what edges are computed from.
R: Final = 0
Z: Final = 1
ETA: Final = 2
TANH_ETA: Final = 3
PHI: Final = 4
DISTANCE: Final = 5
X: Final = 6
Y: Final = 7
NUM_NODE_COLUMNS: Final = 8
NUM_NODE_FEATURES: Final = 4

NUM_EDGE_FEATURES: Final = 8
NUM_EDGE_INPUTS: Final = 2 * NUM_NODE_FEATURES + NUM_EDGE_FEATURES

# Columns of the table of segments.
DIRECTION_X: Final = 0
DIRECTION_Y: Final = 1
CHORD: Final = 2
CURVATURE: Final = 3
POLAR_ANGLE: Final = 4
INTERCEPT: Final = 5
SINE: Final = 6
LOG_CHORD: Final = 7
END_RADIUS: Final = 8
NUM_SEGMENT_COLUMNS: Final = 9

NUM_TRIPLET_FEATURES: Final = 14
