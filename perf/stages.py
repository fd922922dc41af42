"""Time each stage beside the libraries that do the same: `python perf/stages.py EVENTS… --output stages.csv`.

From the events, those nearest to --sizes are taken; without events, generated points stand in for their embeddings, and
no network is timed. Peak memory includes what a library loads when it is first called. Nothing else should run on the
machine: the load average is in every row, so that a reader can tell.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from stage_benchmarks import graph_methods, neighbour_methods, network_methods
from stage_benchmarks.graph_methods import MIN_HITS
from stage_benchmarks.graphs import NO_CAP, EventGraphs, graphs_of
from stage_benchmarks.inputs import Input, from_events, stand_in
from stage_benchmarks.network_methods import NetworkCall
from stage_benchmarks.stopwatch import Measurement, measure

from exatrkx import native
from exatrkx.errors import ExatrkxError
from exatrkx.working_point import WEIGHTS_DIR

IntArray = npt.NDArray[np.int64]
AnyArray = npt.NDArray[Any]

SIZES: Final = (1_300, 10_000, 100_000)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table and of the CSV file."""

    stage: str
    method: str
    threads: int
    spacepoints: int
    dims: int
    radius: float
    edges: int
    repeats: int
    wall_ms: float
    cpu_ms: float
    best_ms: float
    peak_mib: float
    same_answer: bool
    speed_up: float
    input: str
    cpu: str
    load: float


class Comparison:
    """The methods of one stage on one event, each beside the first."""

    def __init__(self, event: Input, stage: str, same: Callable[[Any, Any], bool]) -> None:
        self.event = event
        self.stage = stage
        self.same = same
        self.reference: tuple[Measurement, AnyArray] | None = None

    def row(self, method: str, threads: int, edges: int, measured: Measurement, answer: AnyArray) -> Row:
        self.reference = self.reference or (measured, answer)
        return Row(
            stage=self.stage,
            method=method,
            threads=threads,
            spacepoints=len(self.event.embedding),
            dims=self.event.embedding.shape[1],
            radius=round(self.event.radius, 5),
            edges=edges,
            **{name: round(value, 4) for name, value in asdict(measured).items()},
            same_answer=self.same(answer, self.reference[1]),
            speed_up=round(self.reference[0].wall_ms / measured.wall_ms, 2),
            input=self.event.source,
            cpu=f"{platform.machine()}, {os.cpu_count()} processors",
            load=round(os.getloadavg()[0], 2),
        )


def rows_for(event: Input, options: argparse.Namespace) -> Iterator[Row]:
    """Every stage and method on one event; the first method of a stage is what the others are compared with."""
    yield from _neighbour_rows(event, options)
    graphs = graphs_of(event, options.weights, options.threads, options.seed)
    yield from _network_rows(event, graphs, options)
    for comparison, methods, graph in (
        (Comparison(event, "edges", np.array_equal), graph_methods.selections(), graphs.neighbours),
        (Comparison(event, "components", same_candidates), graph_methods.components(), graphs.filtered),
        (Comparison(event, "contraction", same_candidates), graph_methods.contractions(), graphs.filtered),
    ):
        for name, method in methods.items():
            for threads in sorted({1, options.threads} if method in graph_methods.THREADED else {1}):
                call = (graph.edge_index, graph.scores, len(event.embedding), graph.cut, threads)
                yield comparison.row(name, threads, graph.edge_index.shape[1], *measure(options.repeats, method, *call))


def _neighbour_rows(event: Input, options: argparse.Namespace) -> Iterator[Row]:
    comparison = Comparison(event, "neighbours", np.array_equal)
    for name, method in neighbour_methods.methods().items():
        if len(event.embedding) > options.largest_for_others and not name.startswith(("exatrkx", "cKDTree")):
            continue
        for threads in sorted({1, options.threads} if name in neighbour_methods.THREADED else {1}):
            measured, pairs = measure(options.repeats, method, event.embedding, event.radius, NO_CAP, threads)
            keys = np.sort(pairs.max(axis=0) * len(event.embedding) + pairs.min(axis=0))
            yield comparison.row(name, threads, pairs.shape[1], measured, keys)


def _network_rows(event: Input, graphs: EventGraphs, options: argparse.Namespace) -> Iterator[Row]:
    """The networks on the graphs that they see in the pipeline; with one thread, also with products for every edge."""
    if event.features is None:
        return
    seen = {"embed": None, "filter": graphs.neighbours.edge_index, "gnn": graphs.filtered.edge_index}
    for stage, graph in seen.items():
        comparison = Comparison(event, stage, network_methods.same_scores)
        count = 0 if graph is None else graph.shape[1]
        ways = [("products per edge", 1, True)] if graph is not None else []
        for method, threads, per_edge in [*ways, *(("network", n, False) for n in sorted({1, options.threads}))]:
            call = NetworkCall(options.weights, stage, threads, per_edge)
            done = measure(options.repeats, network_methods.run, call, event.features, graph)
            yield comparison.row(method, threads, count, *done)


def same_candidates(one: IntArray, other: IntArray) -> bool:
    """Whether two labellings have the same candidates of `MIN_HITS` or more spacepoints, whatever their names."""

    def renamed(labels: IntArray) -> IntArray:
        _, first, inverse, size = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
        names: IntArray = np.where((size >= MIN_HITS)[inverse] & (labels >= 0), first[inverse], -1)
        return names

    return np.array_equal(renamed(one), renamed(other))


def growth(rows: Sequence[Row]) -> Iterator[str]:
    """For each stage and method the powers of N by which its time and the edges grow, smallest event to largest."""
    for key in dict.fromkeys((row.stage, row.method, row.threads) for row in rows):
        own = [row for row in rows if (row.stage, row.method, row.threads) == key]
        few, many = (choose(own, key=lambda row: row.spacepoints) for choose in (min, max))
        if many.spacepoints > few.spacepoints:
            span = np.log(many.spacepoints / few.spacepoints)
            time, edges = np.log(many.wall_ms / few.wall_ms), np.log(max(1, many.edges) / max(1, few.edges))
            yield (
                f"{key[0]}, {key[1]}, {key[2]} threads: from {few.spacepoints:,} to {many.spacepoints:,} spacepoints "
                f"time grows as N^{time / span:.2f}, edges as N^{edges / span:.2f}"
            )


def show(row: Row) -> str:
    """One line of the printed table."""
    return (
        f"{row.stage:11} {row.method:21} {row.threads:7d} {row.spacepoints:11,d} {row.edges:10,d} {row.wall_ms:10.2f} "
        f"{row.cpu_ms:10.2f} {row.peak_mib:9.1f} {row.speed_up:8.2f} {'yes' if row.same_answer else 'NO':>5}"
    )


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """The rows as tidy CSV: one measurement a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=[*Row.__slots__])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 1 when two methods disagree."""
    options = _parser().parse_args(arguments)
    try:
        events = (
            from_events(options.events, options.sizes, options.weights)
            if options.events
            else [stand_in(size, options.edges_per_spacepoint, options.seed) for size in options.sizes]
        )
    except (ExatrkxError, OSError) as error:
        print(f"stages.py: {error}", file=sys.stderr)
        return 2
    print(f"input: {events[0].source}; 1-minute load {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors")
    print(
        f"{'stage':11} {'method':21} {'threads':>7} {'spacepoints':>11} {'edges':>10} {'wall ms':>10} {'cpu ms':>10} "
        f"{'peak MiB':>9} {'speed-up':>8} {'same':>5}"
    )
    rows: list[Row] = []
    for event in events:
        for row in rows_for(event, options):
            print(show(row), flush=True)
            rows.append(row)
    print(*growth(rows), sep="\n")
    if options.output is not None:
        write_csv(rows, options.output)
    return 0 if all(row.same_answer for row in rows) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", type=Path, nargs="*", help="files of simulated events; else a stand-in")
    parser.add_argument("--weights", type=Path, default=WEIGHTS_DIR, help="folder of networks and working point")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="spacepoints (default: %(default)s)")
    parser.add_argument(
        "--edges-per-spacepoint", type=float, default=34.0, help="of the stand-in; default: %(default)s"
    )
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=native.default_threads(), help="default: %(default)s")
    parser.add_argument("--repeats", type=int, default=30, help="at most; default: %(default)s")
    parser.add_argument(
        "--largest-for-others",
        type=int,
        default=100_000,
        help="spacepoints above which scikit-learn and faiss are left out; default: %(default)s",
    )
    parser.add_argument("--output", type=Path, help="CSV file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
