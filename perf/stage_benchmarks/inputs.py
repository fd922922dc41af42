"""The events that the stages are timed on: simulated ones, or a stand-in for their embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from scipy.spatial import cKDTree

from exatrkx.events.event import features
from exatrkx.events.readers import read_events
from exatrkx.networks.storage import load_network
from exatrkx.working_point import WorkingPoint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from exatrkx.events.event import Event

STAND_IN: Final = "stand-in (generated, no real embedding)"

EDGES_OF_STAND_IN: Final = 34.0
"""For each spacepoint."""

SPREAD: Final = (1.0, 0.8, 0.5, 0.2, 0.05, 0.03, 0.02, 0.01)
"""Standard deviations along the axes: as in trained embeddings, most of the variance is in three or four of eight."""


@dataclass(frozen=True, slots=True)
class Input:
    """One event as the neighbour search sees it.

    Attributes:
        source: the file and the event in it, or `STAND_IN`.
        embedding: [N,D] FP32.
        radius: in units of the embedding space.
        features: [N,3] FP32 of a real event; None for a stand-in, on which no network can be timed.
    """

    source: str
    embedding: npt.NDArray[np.float32]
    radius: float
    features: npt.NDArray[np.float32] | None = None


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


def from_events(
    paths: Sequence[Path], sizes: Sequence[int], weights: Path, edges_per_spacepoint: float | None = None
) -> list[Input]:
    """Of these events the nearest in size to each of `sizes`, each once, in the embedding of `weights`.

    Args:
        paths: files of events.
        sizes: numbers of spacepoints.
        weights: folder of the networks and the working point.
        edges_per_spacepoint: choose the radius of each event accordingly; None for the working point's radius.

    Raises:
        ExatrkxError: there are no events, or they or the weights cannot be read.
    """
    nearest: dict[int, Event] = {}
    for event in read_events(paths):
        for size in sizes:
            if size not in nearest or abs(len(event) - size) < abs(len(nearest[size]) - size):
                nearest[size] = event
    embed = load_network(weights / "embed.safetensors")
    radius = WorkingPoint.load(weights / "working_point.json").radius
    names = ", ".join(path.name for path in paths)
    inputs = []
    for event in {id(event): event for event in nearest.values()}.values():  # one may be the nearest to two sizes
        found = features(event)
        with torch.inference_mode():
            embedding = embed(torch.from_numpy(found)).numpy()
        own = radius if edges_per_spacepoint is None else radius_for(embedding, edges_per_spacepoint)
        inputs.append(Input(f"event {event.event_id} of {names}", embedding, own, found))
    return inputs
