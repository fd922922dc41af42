"""Every stage and method on one event; the first method of a stage is what the others are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stage_benchmarks import graph_methods, neighbour_methods, network_methods
from stage_benchmarks.graph_methods import MIN_HITS
from stage_benchmarks.graphs import NO_CAP, EventGraphs, graphs_of
from stage_benchmarks.network_methods import NetworkCall
from stage_benchmarks.rows import Circumstances, Comparison, Row
from stage_benchmarks.stopwatch import measure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from stage_benchmarks.inputs import Input

    IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How events are measured.

    Attributes:
        weights: folder of the networks and of the working point.
        threads: most threads; what can use several is measured with one, too.
        repeats: most calls of a method.
        seed: of a stand-in's scores.
        largest_for_others: spacepoints above which scikit-learn and faiss are left out.
        where: what every row says of the machine.
    """

    weights: Path
    threads: int
    repeats: int
    seed: int
    largest_for_others: int
    where: Circumstances

    def threads_of(self, *, several: bool) -> list[int]:
        return sorted({1, self.threads}) if several else [1]


def rows_for(event: Input, settings: Settings) -> Iterator[Row]:
    """The rows of one event, in the order in which it passes the stages."""
    yield from neighbour_rows(event, settings)
    graphs = graphs_of(event, settings.weights, settings.threads, settings.seed)
    yield from network_rows(event, graphs, settings)
    yield from graph_rows(event, graphs, settings)


def neighbour_rows(event: Input, settings: Settings) -> Iterator[Row]:
    """The searches without a cap on the neighbours, which none of the other libraries has."""
    comparison = Comparison(event, "neighbours", np.array_equal, settings.where)
    for name, method in neighbour_methods.methods().items():
        if len(event.embedding) > settings.largest_for_others and name in neighbour_methods.OTHERS:
            continue
        for threads in settings.threads_of(several=name in neighbour_methods.THREADED):
            measured, pairs = measure(settings.repeats, method, event.embedding, event.radius, NO_CAP, threads)
            keys = np.sort(pairs.max(axis=0) * len(event.embedding) + pairs.min(axis=0))
            yield comparison.row(name, threads, pairs.shape[1], measured, keys)


def network_rows(event: Input, graphs: EventGraphs, settings: Settings) -> Iterator[Row]:
    """The networks on the graphs that they see in the pipeline; with one thread, also with products for every edge."""
    if event.features is None:
        return
    seen = {"embed": None, "filter": graphs.neighbours.edge_index, "gnn": graphs.filtered.edge_index}
    for stage, graph in seen.items():
        comparison = Comparison(event, stage, network_methods.same_scores, settings.where)
        count = 0 if graph is None else graph.shape[1]
        ways = [("products per edge", 1, True)] if graph is not None else []
        ways += [("network", threads, False) for threads in settings.threads_of(several=True)]
        for method, threads, per_edge in ways:
            call = NetworkCall(settings.weights, stage, threads, per_edge)
            done = measure(settings.repeats, network_methods.run, call, event.features, graph)
            yield comparison.row(method, threads, count, *done)


def graph_rows(event: Input, graphs: EventGraphs, settings: Settings) -> Iterator[Row]:
    """Edge selection, and both methods of track building."""
    where = settings.where
    for comparison, methods, graph in (
        (Comparison(event, "edges", np.array_equal, where), graph_methods.selections(), graphs.neighbours),
        (Comparison(event, "components", same_candidates, where), graph_methods.components(), graphs.filtered),
        (Comparison(event, "contraction", same_candidates, where), graph_methods.contractions(), graphs.filtered),
    ):
        for name, method in methods.items():
            for threads in settings.threads_of(several=method in graph_methods.THREADED):
                call = (graph.edge_index, graph.scores, len(event.embedding), graph.cut, threads)
                done = measure(settings.repeats, method, *call)
                yield comparison.row(name, threads, graph.edge_index.shape[1], *done)


def same_candidates(one: IntArray, other: IntArray) -> bool:
    """Whether two labellings have the same candidates of `MIN_HITS` or more spacepoints, whatever their names."""

    def renamed(labels: IntArray) -> IntArray:
        _, first, inverse, size = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
        names: IntArray = np.where((size >= MIN_HITS)[inverse] & (labels >= 0), first[inverse], -1)
        return names

    return np.array_equal(renamed(one), renamed(other))
