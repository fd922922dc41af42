"""Track finders under evaluation: the pipeline itself, or a file of tracks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from exatrkx.arrays import Array, on_gpu
from exatrkx.errors import EventFormatError
from exatrkx.events.event import Event, IntArray, features
from exatrkx.events.saved_tracks import SavedTracks
from exatrkx.stages.edges import select_edges

if TYPE_CHECKING:
    from pathlib import Path

    from exatrkx.pipeline import Pipeline
    from exatrkx.validation.cost import NetworkCost

GRAPHS: Final = ("neighbours", "filter", "GNN")
"""Whose graphs the pipeline shows: after the neighbour search, after the filter's cut and after the GNN's cut."""

NETWORKS: Final = "networks"
"""Name of the pipeline of networks, called here or served."""

SAVED_TIMING: Final = "as saved; by exatrkx.ckf the CPU time of one core"
"""What the seconds in a file of tracks are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Tracks found in an event of N spacepoints.

    Attributes:
        labels: [N] −1, or the number of the spacepoint's track candidate.
        seconds: that it took, from the features to the labels; NaN where nobody measured.
        graphs: [2,E] each stage's edges; none where only the labels are known.
    """

    labels: IntArray
    seconds: float
    graphs: dict[str, IntArray] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finder:
    """Track finder.

    Attributes:
        find: the tracks of one event; raises what the pipeline or the client raises.
        origin: what finds them, for the report.
        timing: what the seconds are, for the report.
        name: short, for tables and legends.
        cost: of its networks in one event; None where they cannot be looked at.
        identity: what decides its answers, such as hashes of weights and the working point, as far as is known.
    """

    find: Callable[[Event], Found]
    origin: str
    timing: str
    name: str = NETWORKS
    cost: Callable[[Event], tuple[NetworkCost, ...]] | None = None
    identity: Mapping[str, object] = field(default_factory=dict, compare=False)


def direct(pipeline: Pipeline) -> Finder:
    """The pipeline, called in this process.

    Its time is what the call takes; with one thread on a CPU the CPU time, which other work on the machine does
    not stretch, and which `exatrkx.ckf` measures too.
    """
    import torch  # noqa: PLC0415 - evaluating other tracks needs none

    from exatrkx.validation.cost import network_costs  # noqa: PLC0415

    threads = torch.get_num_threads()
    one_core = threads == 1 and pipeline.device.type == "cpu"
    clock = time.process_time if one_core else time.perf_counter

    def find(event: Event) -> Found:
        hits = features(event)
        began = clock()
        tracks = pipeline(hits)
        labels = _on_host(tracks.labels)  # within the time: a GPU has finished only then
        seconds = clock() - began
        joined = select_edges(tracks.edge_index, tracks.edge_scores, cut=pipeline.working_point.gnn_cut)
        graphs = (_on_host(edges) for edges in (tracks.neighbour_edges, tracks.edge_index, joined))
        return Found(labels=labels, seconds=seconds, graphs=dict(zip(GRAPHS, graphs, strict=True)))

    def cost(event: Event) -> tuple[NetworkCost, ...]:
        return network_costs(pipeline, features(event), find(event).graphs)

    point = ", ".join(f"{name} {value}" for name, value in pipeline.working_point.numbers().items())
    timing = "direct call, CPU time of one core" if one_core else f"direct call, {threads} threads"
    if pipeline.device.type != "cpu":
        timing = f"direct call on {pipeline.device}"
    return Finder(find, f"working point {point}", timing, cost=cost)


@contextmanager
def saved(name: str, file: Path) -> Iterator[Finder]:
    """The tracks of a file, found by anything: those of exactly the events that are asked for within the `with`.

    Args:
        name: of what found them.
        file: as `exatrkx.events.tracks` describes it.

    Raises:
        EventFormatError: not a file of tracks; within the `with`, tracks of other spacepoints than the event's, or an
            event that comes twice; at its end, tracks of events that were not asked for.
    """
    tracks = SavedTracks.read(file)
    asked: set[int] = set()

    def find(event: Event) -> Found:
        if event.event_id in asked:
            raise EventFormatError(
                f"{file}: tracks are told apart by the event's number, and {event.event_id} came twice"
            )
        asked.add(event.event_id)
        return Found(labels=tracks.labels(event), seconds=tracks.seconds(event))

    yield Finder(find, f"tracks of {file.name}", SAVED_TIMING, name)
    others = sorted(tracks.rows.keys() - asked)
    if others:
        raise EventFormatError(
            f"{file}: tracks of {len(others)} events that are not in the sample, the first of them event {others[0]}"
        )


def _on_host(array: Array) -> IntArray:
    """The array for NumPy, copied from a GPU where it is there."""
    host: IntArray = array.get() if on_gpu(array) else array
    return host
