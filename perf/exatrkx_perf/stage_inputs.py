"""Events that the stages are timed on, simulated or stand-ins, with their graphs; and the networks on them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from exatrkx.arrays import retain_freed_memory
from exatrkx.events.event import features
from exatrkx.events.readers import read_events
from exatrkx.networks.storage import load_network
from exatrkx.networks.torchscript import trace
from exatrkx.pipeline import Pipeline
from exatrkx.stages.edges import fixed_radius_edges, select_edges
from exatrkx.working_point import WorkingPoint
from exatrkx_perf.stage_methods import NO_CAP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from exatrkx.events.event import Event, FloatArray, IntArray

STAND_IN: Final = "stand-in (generated, no real embedding)"

AXES: Final = (1.0, 0.8, 0.5, 0.2, 0.05, 0.03, 0.02, 0.01)
"""Standard deviations along the axes: as in trained embeddings, most of the variance is in three or four of eight."""


_STAND_IN_CUT: Final = 0.5
_STAND_IN_MEAN: Final = -1.2816
"""Of normal scores: a tenth of them is above the cut."""


@dataclass(frozen=True, slots=True)
class Input:
    """One event as the neighbour search sees it.

    Attributes:
        source: the file and the event in it, or `STAND_IN`.
        embedding: [N,D] FP32.
        radius: in units of the embedding space.
        features: [N,F] FP32 of a real event; None for a stand-in, on which no network can be timed.
    """

    source: str
    embedding: FloatArray
    radius: float
    features: FloatArray | None = None


def stand_in(spacepoints: int, edges_per_spacepoint: float, seed: int) -> Input:
    """Tight groups of 3 to 17 points, as tracks make, at the radius that gives this many edges per spacepoint."""
    generator = np.random.default_rng(seed)
    widths = np.array(AXES)
    group = np.repeat(np.arange(spacepoints), generator.integers(3, 18, size=spacepoints))[:spacepoints]
    centre = generator.normal(size=(spacepoints, len(widths))) * widths
    points = centre[group] + generator.normal(size=(spacepoints, len(widths))) * (0.03 * widths + 0.005)
    embedding = generator.permutation(points).astype(np.float32)
    return Input(STAND_IN, embedding, radius_for(embedding, edges_per_spacepoint))


def radius_for(embedding: FloatArray, edges_per_spacepoint: float) -> float:
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

    The radius is the working point's, or for each event the one that gives so many edges per spacepoint.

    Raises:
        ExatrkxError: there are no events, or they or the weights cannot be read.
    """
    nearest: dict[int, Event] = {}
    for event in read_events(paths):
        for size in sizes:
            if size not in nearest or abs(len(event) - size) < abs(len(nearest[size]) - size):
                nearest[size] = event
    embed = load_network(weights / "embed.safetensors")
    point = WorkingPoint.load(weights / "working_point.json")
    names = ", ".join(path.name for path in paths)
    inputs = []
    for event in {id(event): event for event in nearest.values()}.values():  # one may be the nearest to two sizes
        found = features(event, point.extra)
        with torch.inference_mode():
            embedding = embed(torch.from_numpy(found)).numpy()
        own = point.radius if edges_per_spacepoint is None else radius_for(embedding, edges_per_spacepoint)
        inputs.append(Input(f"event {event.event_id} of {names}", embedding, own, found))
    return inputs


class ScoredGraph(NamedTuple):
    """[2,E] edges, [E] logits, and the cut on them as a probability."""

    edge_index: IntArray
    scores: FloatArray
    cut: float


class EventGraphs(NamedTuple):
    """What the filter's cut selects from, and what the tracks are built of."""

    neighbours: ScoredGraph
    filtered: ScoredGraph


def graphs_of(event: Input, weights: Path, threads: int, seed: int) -> EventGraphs:
    """The event's graphs at the working point of `weights`; for a stand-in, its neighbours with random scores."""
    cuts = WorkingPoint.load(weights / "working_point.json")
    neighbours = fixed_radius_edges(
        event.embedding, radius=event.radius, max_neighbors=cuts.max_neighbors, max_edges=NO_CAP
    )
    if event.features is None:
        random = np.random.default_rng(seed).normal(_STAND_IN_MEAN, 1.0, size=neighbours.shape[1])
        stand_in = ScoredGraph(neighbours, random.astype(np.float32), _STAND_IN_CUT)
        return EventGraphs(stand_in, stand_in)
    scores = run(NetworkCall(weights, "filter", threads), event.features, neighbours)
    kept = select_edges(neighbours, scores, cut=cuts.filter_cut)
    logits = run(NetworkCall(weights, "gnn", threads), event.features, kept)
    return EventGraphs(ScoredGraph(neighbours, scores, cuts.filter_cut), ScoredGraph(kept, logits, cuts.gnn_cut))


class NetworkCall(NamedTuple):
    """Which network to run, and how: by blocks of edges, or with all of them in one."""

    weights: Path
    stage: str
    threads: int
    one_block: bool = False


def run(call: NetworkCall, features: FloatArray, edge_index: IntArray | None) -> FloatArray:
    """What the network of a stage makes of an event: [N,D] points or [E] logits."""
    network = loaded(call)
    tensors = [torch.from_numpy(array) for array in (features, edge_index) if array is not None]
    with torch.inference_mode():
        answer: FloatArray = network(*tensors).numpy()
    return answer


@functools.cache  # once in the process that measures, and not in the time of a call
def loaded(call: NetworkCall) -> Callable[..., Tensor]:
    """The network of a call."""
    retain_freed_memory()
    torch.set_num_threads(call.threads)
    network = load_network(call.weights / f"{call.stage}.safetensors")
    if call.one_block:
        network.block_rows = NO_CAP
    return network


def labels(weights: Path, threads: int, features: FloatArray) -> IntArray:
    """[N] labels of the whole pipeline."""
    found: IntArray = _loaded_pipeline(weights, threads)(features).labels
    return found


@functools.cache  # as above
def _loaded_pipeline(weights: Path, threads: int) -> Pipeline:
    torch.set_num_threads(threads)
    embed, edge_filter, gnn = (
        trace(name, load_network(weights / f"{name}.safetensors")) for name in ("embed", "filter", "gnn")
    )
    return Pipeline(embed, edge_filter, gnn, WorkingPoint.load(weights / "working_point.json"))
