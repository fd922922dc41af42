"""Training run: the three networks, each on the graphs of those before it, and the working point."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

import torch

from exatrkx.commands import program
from exatrkx.errors import EventFormatError, ExatrkxError
from exatrkx.events.parquet import count_events, read_events
from exatrkx.files import check_outputs, write_files
from exatrkx.networks.device import usable_device
from exatrkx.networks.mlp import EdgeFilter, Embedding
from exatrkx.networks.storage import (
    KINDS,
    hash_tensors,
    hash_weights,
    load_network,
    mismatches,
    network_bytes,
    read_metadata,
)
from exatrkx.networks.triplet_network import TripletNetwork
from exatrkx.reporting.tables import TRACK_ROWS, with_interval
from exatrkx.run_settings import beside, keep_settings, told
from exatrkx.training.choose import choose_filter_cut, choose_gnn_cut, choose_radius
from exatrkx.training.events import load_training_events, training_event
from exatrkx.training.given_weights import given_network, mean_weights
from exatrkx.training.graphs import FilteredGraph, NeighbourGraph
from exatrkx.training.loop import fit, identify_run, read_checkpoint
from exatrkx.training.recipes import RECIPES, Recipe
from exatrkx.training.tasks import EdgeTask, EmbeddingTask, TripletTask
from exatrkx.working_point import WorkingPoint

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from exatrkx.training.loop import Task
    from exatrkx.training.recipes import Schedule

N = TypeVar("N", Embedding, EdgeFilter, TripletNetwork)

PROVISIONAL_CUT: Final = 0.5


class Training:
    """Training run: its events, its recipe and its folder, which holds the weights, the checkpoints and the logs.

    Raises:
        EventFormatError: a file of events is none, or has no events to choose on.
        OSError: a file cannot be read, or the folder cannot be made.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.folder: Path = arguments.output
        given = [folder for folder in (arguments.start, arguments.mean_with) if folder]
        check_outputs(
            [self.folder / f"{kind}.safetensors" for kind in KINDS], [*arguments.train, *arguments.valid, *given]
        )
        self.recipe = _recipe(arguments)
        named = {name: getattr(arguments, name) for name in ("recipe", "train", "valid", "limit", "device")}
        self.settings = {**named, "goals": asdict(self.recipe.goals), "torch": str(torch.__version__)}
        self.seed: int = arguments.seed
        self.minutes: float | None = arguments.minutes
        self.start: Path | None = arguments.start
        self.mean_with: Path | None = arguments.mean_with
        self.overwrite: bool = arguments.overwrite
        self.device = usable_device(arguments.device)
        self.train = [event.to(self.device) for event in load_training_events(arguments.train, arguments.limit)]
        self.valid_paths: list[Path] = arguments.valid
        for path in self.valid_paths:
            if count_events(path) == 0:
                raise EventFormatError(f"{path}: has no events to choose on")
        self.valid = [event.to(self.device) for event in load_training_events(arguments.valid)]

    def embed(self) -> None:
        """Train the embedding, and choose the radius."""
        embed = self._new("embed", Embedding)
        self._fit("embed", EmbeddingTask(embed))
        self._choose_radius(embed)

    def filter(self) -> None:
        """Train the filter on the embedding's graphs, and choose its cut."""
        edge_filter = self._new("filter", EdgeFilter)
        graph = self._neighbours()
        self._fit("filter", EdgeTask(edge_filter, graph), graph.settings)
        self._choose_filter_cut(edge_filter, graph)

    def gnn(self) -> None:
        """Train the GNN on the filter's graphs, and choose its cut."""
        self._warn_of_mismatches("embed", "filter")
        gnn = self._new("gnn", TripletNetwork)
        neighbours, edge_filter = self._neighbours(), self._load("filter", EdgeFilter)
        cut = self._working_point().filter_cut
        graph = FilteredGraph(neighbours, edge_filter, cut * self.recipe.gnn_training_cut)
        self._fit("gnn", TripletTask(gnn, graph), graph.settings)
        self._choose_gnn_cut(gnn, FilteredGraph(neighbours, edge_filter, cut))

    def choose(self) -> None:
        """Choose the working point anew, for networks that are trained."""
        gnn, edge_filter = self._load("gnn", TripletNetwork), self._load("filter", EdgeFilter)
        self._choose_radius(self._load("embed", Embedding))
        self._warn_of_mismatches(*KINDS)
        neighbours = self._neighbours()
        self._choose_filter_cut(edge_filter, neighbours)
        self._choose_gnn_cut(gnn, FilteredGraph(neighbours, edge_filter, self._working_point().filter_cut))

    def _choose_radius(self, embed: Embedding) -> None:
        goals = self.recipe.goals
        radius = choose_radius(embed, self.valid, goals)
        embedding = hash_tensors(embed.state_dict())
        self._note(radius=radius, max_neighbors=goals.max_neighbors, embedding=embedding)

    def _choose_filter_cut(self, edge_filter: EdgeFilter, graph: NeighbourGraph) -> None:
        self._note(filter_cut=choose_filter_cut(edge_filter, graph, self.valid, self.recipe.goals))

    def _choose_gnn_cut(self, gnn: TripletNetwork, graph: FilteredGraph) -> None:
        samples = [
            [(event, training_event(event).to(self.device)) for event in read_events(path)] for path in self.valid_paths
        ]
        cut, figures = choose_gnn_cut(gnn, graph, samples, self._working_point())
        for path, of_sample in zip(self.valid_paths, figures, strict=True):
            rates = ", ".join(f"{title} {with_interval(getattr(of_sample, name))}" for title, name, _ in TRACK_ROWS)
            print(f"at the chosen GNN cut {cut}, on {path.name}: {rates}")
        self._note(gnn_cut=cut)
        hashes = {
            f"{kind} weights_sha256": hash_weights(load_network(self.folder / f"{kind}.safetensors")) for kind in KINDS
        }
        keep_settings({**self.settings, **hashes}, self.folder / "working_point.json")

    def _new(self, name: str, kind: type[N]) -> N:
        """An untrained network of one stage, or a copy of the one to start from."""
        torch.manual_seed(self.seed)
        sizes = getattr(self.recipe, f"{name}_sizes")
        network = kind(**sizes)
        if self.start is not None:
            network.load_state_dict(given_network(self.start, name, sizes).state_dict())
        return network.to(self.device)

    def _load(self, name: str, kind: type[N]) -> N:
        """The trained network of one stage."""
        network = load_network(self.folder / f"{name}.safetensors").to(self.device)
        assert isinstance(network, kind)
        return network

    def _neighbours(self) -> NeighbourGraph:
        point = self._working_point()
        return NeighbourGraph(self._load("embed", Embedding), point.radius, point.max_neighbors)

    def _fit(self, kind: str, task: Task, graph: Mapping[str, str | float] = MappingProxyType({})) -> None:
        """Train a network on graphs with these settings, or take the one that this run has made already."""
        network, sizes = task.network, getattr(self.recipe, f"{kind}_sizes")
        print(f"{kind}: {sum(p.numel() for p in network.parameters()):,} weights, {len(self.train)} events")
        schedule: Schedule = replace(getattr(self.recipe, kind), seed=self.seed)
        if self.minutes is not None:
            schedule = replace(schedule, minutes=self.minutes)
        start = hash_tensors(network.state_dict()) if self.start else None
        other = given_network(self.mean_with, kind, sizes) if self.mean_with else None
        mean = {} if other is None else {"mean_with": hash_tensors(other.state_dict())}
        settings = {"sizes": sizes, "start": start, **mean, **graph}
        run = identify_run(self.train, self.valid, schedule, settings)
        path = self.folder / f"{kind}.safetensors"
        if path.is_file() and read_metadata(path).get("run") == run:
            print(f"{path} is what this run has made: nothing to do")
            network.load_state_dict(load_network(path).state_dict())
            return
        self._require_free(path, run)
        fit(task, self.train, self.valid, schedule, path.with_suffix(".checkpoint"), settings=settings)
        if other is not None:
            network.load_state_dict(mean_weights(network, other))
        before = {name: str(graph[name]) for name in KINDS if name in graph}
        decided = {"network": kind, "schedule": asdict(schedule), **settings, **self.settings, "run": run}
        files = {path: network_bytes(kind, sizes, network, {"run": run, **before})}
        write_files({**files, **beside(decided, path)})
        print(told(decided))

    def _require_free(self, weights: Path, run: str) -> None:
        """Refuse to replace what another run has made, unless that was asked for."""
        checkpoint = weights.with_suffix(".checkpoint")
        other = weights if weights.is_file() else checkpoint
        if other.is_file() and not self.overwrite and (other is weights or read_checkpoint(other).get("run") != run):
            raise ExatrkxError(
                f"{other} is of another run, with other events, settings or networks before it: name another --output, "
                "or let it be replaced with --overwrite"
            )

    def _warn_of_mismatches(self, *kinds: str) -> None:
        for text in mismatches(self.folder, kinds):
            print(f"{program('training')}: warning: {text}", file=sys.stderr)

    def _working_point(self) -> WorkingPoint:
        return WorkingPoint.load(self.folder / "working_point.json")

    def _note(self, **numbers: float | str) -> None:
        """Put newly chosen numbers into the working point; those of later stages are provisional until chosen."""
        path = self.folder / "working_point.json"
        if path.is_file():
            point = replace(self._working_point(), **numbers)  # type: ignore[arg-type]  # fields by name
        else:
            cuts = {"filter_cut": PROVISIONAL_CUT, "gnn_cut": PROVISIONAL_CUT}
            fixed = {"track_building": self.recipe.track_building}
            point = WorkingPoint.from_mapping({**cuts, **fixed, **numbers}, "chosen on held-out events")
        write_files({path: point.to_json().encode()})
        print(f"working point: {numbers}")


def _recipe(options: argparse.Namespace) -> Recipe:
    """The recipe, with the goals that the options name in place of its own."""
    recipe = RECIPES[options.recipe]
    goals = {"radius": options.keep_radius, "filter_cut": options.keep_filter}
    changed = {name: part for name, part in goals.items() if part is not None}
    return replace(recipe, goals=replace(recipe.goals, **changed))
