"""Benchmark of the stages: every method on one event, beside the first one of its stage."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from exatrkx_perf import stage_inputs, stage_methods
from exatrkx_perf.budget import Budget, count_budget
from exatrkx_perf.machine_limits import limits_for
from exatrkx_perf.stage_inputs import EventGraphs, graphs_of
from exatrkx_perf.stage_methods import MIN_HITS
from exatrkx_perf.stage_rows import PIPELINE, Row
from exatrkx_perf.timing import Measurement, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from exatrkx.events.event import FloatArray, IntArray
    from exatrkx_perf.machine_limits import MachineLimits
    from exatrkx_perf.stage_inputs import Input


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """How the stages are measured.

    Attributes:
        threads: most threads; what can use several is measured with one, too.
        repeats: most calls of a method.
        largest_for_others: spacepoints above which scikit-learn and faiss are left out.
        environment: machine, versions and commit, which every row names.
    """

    weights: Path
    threads: int
    repeats: int
    seed: int
    largest_for_others: int
    environment: dict[str, Any]

    def threads_of(self, *, several: bool) -> list[int]:
        return sorted({1, self.threads}) if several else [1]


@dataclass(slots=True)
class Comparison:
    """The methods of one stage on one event, each beside the first.

    Attributes:
        same: whether two answers are the same.
        edges: of the graph that they read; None where their answer is the graph.
        reference: what the first took and answered.
        limits: the machine's for what the stage reads and writes, by threads.
    """

    event: Input
    stage: str
    same: Callable[[Any, Any], bool]
    benchmark: Benchmark
    edges: int | None = None
    reference: tuple[Measurement, Any] | None = None
    limits: dict[int, MachineLimits] = field(default_factory=dict)

    def row(
        self, method: str, threads: int, call: Callable[..., Any], *arguments: object, budget: Budget | None = None
    ) -> Row:
        """Measure a method; that of the first call becomes the reference. Without a budget it is that of its arrays."""
        measured, answer = measure(self.benchmark.repeats, call, *arguments)
        self.reference = self.reference or (measured, answer)
        asked = budget or Budget.of_arrays(*arguments, answer)
        if threads not in self.limits:
            self.limits[threads] = limits_for(asked, threads, self.benchmark.repeats)
        limits = self.limits[threads]
        return Row(
            stage=self.stage,
            method=method,
            threads=threads,
            spacepoints=len(self.event.embedding),
            dims=self.event.embedding.shape[1],
            radius=round(self.event.radius, 5),
            edges=answer.shape[1] if self.edges is None else self.edges,
            **{name: round(value, 4) for name, value in asdict(measured).items()},
            same_answer=self.same(answer, self.reference[1]),
            speed_up=round(self.reference[0].wall_ms / measured.wall_ms, 2),
            n_power=math.nan,
            size_power=math.nan,
            operators=float(asked.operators) or math.nan,
            waits=float(asked.waits) if asked.operators else math.nan,
            gflop=asked.flops / 1e9 if asked.operators else math.nan,
            gbyte=asked.moved / 1e9,
            product_gflop_s=round(limits.flops_per_s / 1e9, 3),
            copy_gbyte_s=round(limits.bytes_per_s / 1e9, 3),
            input=self.event.source,
            **self.benchmark.environment,
            load=round(os.getloadavg()[0], 2),
        )


def rows_for(event: Input, benchmark: Benchmark) -> Iterator[Row]:
    """The rows of one event, in the order in which it passes the stages."""
    yield from neighbour_rows(event, benchmark)
    graphs = graphs_of(event, benchmark.weights, benchmark.threads, benchmark.seed)
    yield from network_rows(event, graphs, benchmark)
    yield from graph_rows(event, graphs, benchmark)
    yield from pipeline_rows(event, graphs, benchmark)


def neighbour_rows(event: Input, benchmark: Benchmark) -> Iterator[Row]:
    """The searches without a cap on the neighbours, which none of the other libraries has."""
    comparison = Comparison(event, "neighbours", same_pairs, benchmark)
    for name, method in stage_methods.methods_of("neighbours").items():
        if len(event.embedding) > benchmark.largest_for_others and name in stage_methods.SLOW_SEARCHES:
            continue
        for threads in benchmark.threads_of(several=name in stage_methods.THREADED):
            yield comparison.row(name, threads, method, event.embedding, event.radius, threads)


def network_rows(event: Input, graphs: EventGraphs, benchmark: Benchmark) -> Iterator[Row]:
    """The networks on the graphs that they see in the pipeline; with one thread, also all edges in one block."""
    if event.features is None:
        return
    seen = {"embed": None, "filter": graphs.neighbours.edge_index, "gnn": graphs.filtered.edge_index}
    for stage, graph in seen.items():
        comparison = Comparison(event, stage, same_scores, benchmark, 0 if graph is None else graph.shape[1])
        ways = [("in one block", 1, True)] if graph is not None else []
        ways += [("network", threads, False) for threads in benchmark.threads_of(several=True)]
        for method, threads, one_block in ways:
            call = stage_inputs.NetworkCall(benchmark.weights, stage, threads, one_block)
            stage_inputs.loaded(call)  # which is not part of the budget
            budget = count_budget(stage_inputs.run, call, event.features, graph)
            comparison.limits = comparison.limits if method == "network" else {}
            yield comparison.row(method, threads, stage_inputs.run, call, event.features, graph, budget=budget)


def pipeline_rows(event: Input, graphs: EventGraphs, benchmark: Benchmark) -> Iterator[Row]:
    """All stages one after the other, from features to labels, with the networks as TorchScript."""
    if event.features is None:
        return
    comparison = Comparison(event, PIPELINE, np.array_equal, benchmark, graphs.neighbours.edge_index.shape[1])
    for threads in benchmark.threads_of(several=True):
        yield comparison.row("direct", threads, stage_inputs.labels, benchmark.weights, threads, event.features)


def graph_rows(event: Input, graphs: EventGraphs, benchmark: Benchmark) -> Iterator[Row]:
    """Edge selection, and both methods of track building."""
    for stage, same, graph in (
        ("edges", np.array_equal, graphs.neighbours),
        ("components", same_candidates, graphs.filtered),
        ("contraction", same_candidates, graphs.filtered),
    ):
        comparison = Comparison(event, stage, same, benchmark, graph.edge_index.shape[1])
        for name, method in stage_methods.methods_of(stage).items():
            for threads in benchmark.threads_of(several=stage == "edges" and name in stage_methods.THREADED):
                call = (graph.edge_index, graph.scores, len(event.embedding), graph.cut, threads)
                yield comparison.row(name, threads, method, *call)


def same_pairs(one: IntArray, other: IntArray) -> bool:
    """Whether two graphs have the same pairs, whatever their order."""

    def keys(pairs: IntArray) -> IntArray:
        found: IntArray = np.sort((pairs.max(axis=0) << np.int64(32)) + pairs.min(axis=0))
        return found

    return np.array_equal(keys(one), keys(other))


def same_scores(one: FloatArray, other: FloatArray) -> bool:
    """Whether two sets of outputs agree to what single precision leaves of them."""
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=1e-3, atol=1e-3))


def same_candidates(one: IntArray, other: IntArray) -> bool:
    """Whether two labellings have the same candidates of `MIN_HITS` or more spacepoints, whatever their names."""

    def renamed(labels: IntArray) -> IntArray:
        _, first, inverse, size = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
        names: IntArray = np.where((size >= MIN_HITS)[inverse] & (labels >= 0), first[inverse], -1)
        return names

    return np.array_equal(renamed(one), renamed(other))
