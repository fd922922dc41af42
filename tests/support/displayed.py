"""An event with a track of each kind that a display shows, and the labels of its spacepoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import handmade
import numpy as np

from exatrkx.events.event import Event, Truth

if TYPE_CHECKING:
    from exatrkx.events.event import IntArray

RADII: Final = (32.0, 72.0, 116.0, 172.0, 260.0, 360.0, 500.0, 660.0)
"""Of layers of the Generic detector's barrel, one spacepoint of each particle on each."""

PT: Final = (0.5, 1.5, 3.0, 2.0, 4.0, 0.7)
"""Of particles 0 to 5, in GeV."""

KINDS: Final = {10: "found", 20: "found", 30: "incomplete", 31: "incomplete", 40: "fake"}
"""Of the candidates by their labels. Particle 0 has 10 and 1 has 20, 2 is in two pieces, 40 is of noise.

No candidate is of particles 3, 4 and 5: 3 is neutral, 4 is of the selection, as 2 is, and 5 is not.
"""

NOISE: Final = 12


def displayed_event() -> tuple[Event, IntArray]:
    """Straight particles across the beam, one every 45°, then spacepoints of noise, four of them on a candidate."""
    turn = np.repeat(np.arange(len(PT)) * np.pi / 4, len(RADII))
    radius = np.tile(RADII, len(PT))
    noise_turn = np.linspace(4.9, 6.1, NOISE)
    noise_radius = np.resize(RADII[3:], NOISE)
    x = np.concatenate([radius * np.cos(turn), noise_radius * np.cos(noise_turn)]).astype(np.float32)
    y = np.concatenate([radius * np.sin(turn), noise_radius * np.sin(noise_turn)]).astype(np.float32)
    labels = np.full(len(x), -1, dtype=np.int64)
    for particle, label in ((0, 10), (1, 20)):
        labels[particle * len(RADII) :][: len(RADII)] = label
    labels[16:20], labels[20:24] = 30, 31
    labels[-4:] = 40
    charge = [1.0] * len(PT)
    charge[3] = 0.0
    made = len(PT) * len(RADII)
    truth = Truth(
        particles=handmade.particles(len(PT), pt=PT, charge=charge),
        spacepoint=np.arange(made),
        particle=np.repeat(np.arange(len(PT)), len(RADII)),
        order=np.tile(np.arange(len(RADII)), len(PT)),
    )
    return Event(event_id=7, x=x, y=y, z=np.zeros_like(x), truth=truth), labels
