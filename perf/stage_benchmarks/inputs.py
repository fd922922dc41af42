"""The embeddings that the stages are timed on: those of a file, or a stand-in for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

STAND_IN: Final = "stand-in (generated, no real embedding)"

SPREAD: Final = (1.0, 0.8, 0.5, 0.2, 0.05, 0.03, 0.02, 0.01)
"""Standard deviations along the axes: as in trained embeddings, most of the variance is in three or four of eight."""


@dataclass(frozen=True, slots=True)
class Input:
    """One event as the neighbour search sees it.

    Attributes:
        source: the file and the array's name in it, or `STAND_IN`.
        embedding: [N,D] FP32.
        radius: in units of the embedding space.
    """

    source: str
    embedding: npt.NDArray[np.float32]
    radius: float


def stand_in(spacepoints: int, edges_per_spacepoint: float, seed: int) -> Input:
    """Tight groups of 3 to 17 points, as tracks make, at the radius that gives this many edges per spacepoint."""
    generator = np.random.default_rng(seed)
    spread = np.array(SPREAD)
    group = np.repeat(np.arange(spacepoints), generator.integers(3, 18, size=spacepoints))[:spacepoints]
    centre = generator.normal(size=(spacepoints, len(spread))) * spread
    points = centre[group] + generator.normal(size=(spacepoints, len(spread))) * (0.03 * spread + 0.005)
    embedding = generator.permutation(points).astype(np.float32)
    return Input(STAND_IN, embedding, radius_for(embedding, edges_per_spacepoint))


def radius_for(embedding: npt.NDArray[np.float32], edges_per_spacepoint: float) -> float:
    """The radius, to a thousandth, at which the graph has so many edges per spacepoint."""
    tree = cKDTree(embedding)
    pairs = len(embedding) * (1 + 2 * edges_per_spacepoint)
    low, high = 0.0, float(np.ptp(embedding, axis=0).max())
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if tree.count_neighbors(tree, middle) > pairs else (middle, high)
    return high


def from_file(path: Path, radius: float | None, edges_per_spacepoint: float) -> list[Input]:
    """Every array of an .npz file, the smallest first: one [N,D] embedding each, at one radius or at one density."""
    with np.load(path) as arrays:
        embeddings = {f"{path.name}:{name}": arrays[name].astype(np.float32) for name in arrays.files}
    return [
        Input(source, embedding, radius or radius_for(embedding, edges_per_spacepoint))
        for source, embedding in sorted(embeddings.items(), key=lambda item: len(item[1]))
    ]
