"""Random streams that depend on the seed and on what they are for, and on nothing that was drawn before."""

from __future__ import annotations

from typing import Final

import numpy as np

_GENERATOR: Final = 0
_DETECTOR: Final = 1


def event_stream(seed: int, number: int) -> np.random.Generator:
    """The random numbers with which event `number` is generated."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_GENERATOR, number)))


def detector_seed(seed: int) -> int:
    """64 bits from which ACTS derives a stream for each event and each of its algorithms."""
    return int(np.random.SeedSequence(seed, spawn_key=(_DETECTOR,)).generate_state(1, np.uint64)[0])
