"""Training command, `python -m exatrkx.training`: one network or all three, then the working point and the report."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import torch
from torch import nn

from exatrkx.commands import run_command
from exatrkx.errors import EventFormatError
from exatrkx.events.parquet import count_events, read_events
from exatrkx.networks.mlp import EdgeFilter, Embedding
from exatrkx.networks.storage import KINDS, load_network, save_network
from exatrkx.networks.triplet_network import TripletNetwork
from exatrkx.training.choose import choose_filter_cut, choose_gnn_cut, choose_radius
from exatrkx.training.edge_task import EdgeTask
from exatrkx.training.embedding_task import EmbeddingTask
from exatrkx.training.events import load_training_events, training_event
from exatrkx.training.graphs import FilteredGraph, NeighbourGraph
from exatrkx.training.loop import fit
from exatrkx.training.recipes import RECIPES, Recipe
from exatrkx.training.triplet_task import TripletTask
from exatrkx.working_point import WorkingPoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exatrkx.training.loop import Schedule, Task

N = TypeVar("N", bound=nn.Module)

CHOOSE: Final = "choose"
PROVISIONAL_CUT: Final = 0.5


class Training:
    """Training run: its events, its recipe and its folder, which holds the weights, the checkpoints and the logs."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.folder: Path = arguments.output
        self.folder.mkdir(parents=True, exist_ok=True)
        self.recipe = _recipe(arguments)
        self.seed: int = arguments.seed
        self.start: Path | None = arguments.start
        self.device = torch.device(arguments.device)
        self.train = [event.to(self.device) for event in load_training_events(arguments.train, arguments.limit)]
        self.valid_paths: list[Path] = arguments.valid
        for path in self.valid_paths:
            if count_events(path) == 0:
                raise EventFormatError(f"{path}: has no events to choose on")
        self.valid = [event.to(self.device) for event in load_training_events(arguments.valid)]

    def run(self, stage: str) -> None:
        """Train the network of one stage, after those before it, and add its numbers to the working point."""
        {"embed": self._embed, "filter": self._filter, "gnn": self._gnn, CHOOSE: self._choose}[stage]()

    def _embed(self) -> None:
        sizes = self.recipe.embed_sizes
        embed = self._new("embed", Embedding, sizes)
        self._fit("embed", EmbeddingTask(embed), embed, sizes, self.recipe.embed)
        goals = self.recipe.goals
        self._note(radius=choose_radius(embed, self.valid, goals), max_neighbors=goals.max_neighbors)

    def _filter(self) -> None:
        sizes = self.recipe.filter_sizes
        edge_filter = self._new("filter", EdgeFilter, sizes)
        graph = self._neighbours()
        self._fit("filter", EdgeTask(edge_filter, graph), edge_filter, sizes, self.recipe.filter)
        self._note(filter_cut=choose_filter_cut(edge_filter, graph, self.valid, self.recipe.goals))

    def _gnn(self) -> None:
        sizes = self.recipe.gnn_sizes
        gnn = self._new("gnn", TripletNetwork, sizes)
        edge_filter = load_network(self.folder / "filter.safetensors").to(self.device)
        assert isinstance(edge_filter, EdgeFilter)
        point = self._working_point()
        neighbours = self._neighbours()
        training_graph = FilteredGraph(neighbours, edge_filter, point.filter_cut * self.recipe.gnn_training_cut)
        self._fit("gnn", TripletTask(gnn, training_graph), gnn, sizes, self.recipe.gnn)
        self._choose_gnn_cut(gnn, FilteredGraph(neighbours, edge_filter, point.filter_cut))

    def _choose(self) -> None:
        """The working point anew, for networks that are trained."""
        embed, edge_filter, gnn = (load_network(self.folder / f"{name}.safetensors").to(self.device) for name in KINDS)
        assert isinstance(embed, Embedding)
        assert isinstance(edge_filter, EdgeFilter)
        assert isinstance(gnn, TripletNetwork)
        goals = self.recipe.goals
        self._note(radius=choose_radius(embed, self.valid, goals), max_neighbors=goals.max_neighbors)
        neighbours = self._neighbours()
        self._note(filter_cut=choose_filter_cut(edge_filter, neighbours, self.valid, goals))
        self._choose_gnn_cut(gnn, FilteredGraph(neighbours, edge_filter, self._working_point().filter_cut))

    def _choose_gnn_cut(self, gnn: TripletNetwork, graph: FilteredGraph) -> None:
        samples = [
            [(event, training_event(event).to(self.device)) for event in read_events(path)] for path in self.valid_paths
        ]
        cut, figures = choose_gnn_cut(gnn, graph, samples, self._working_point())
        for path, of_sample in zip(self.valid_paths, figures, strict=True):
            print(f"at the chosen GNN cut {cut}, on {path.name}: {of_sample}")
        self._note(gnn_cut=cut)

    def _new(self, name: str, kind: type[N], sizes: dict[str, int]) -> N:
        """An untrained network of one stage, or a copy of the one to start from."""
        torch.manual_seed(self.seed)
        network = kind(**sizes)
        if self.start is not None:
            network.load_state_dict(load_network(self.start / f"{name}.safetensors").state_dict())
        return network.to(self.device)

    def _neighbours(self) -> NeighbourGraph:
        embed = load_network(self.folder / "embed.safetensors").to(self.device)
        assert isinstance(embed, Embedding)
        point = self._working_point()
        return NeighbourGraph(embed, point.radius, point.max_neighbors)

    def _fit(self, kind: str, task: Task, network: nn.Module, sizes: dict[str, int], schedule: Schedule) -> None:
        print(f"{kind}: {sum(p.numel() for p in network.parameters()):,} weights, {len(self.train)} events")
        schedule = replace(schedule, seed=self.seed)
        history = fit(task, self.train, self.valid, schedule, self.folder / f"{kind}.checkpoint")
        (self.folder / f"{kind}.history.json").write_text(json.dumps(history, indent=1) + "\n")
        save_network(self.folder / f"{kind}.safetensors", kind, sizes, network)

    def _working_point(self) -> WorkingPoint:
        return WorkingPoint.load(self.folder / "working_point.json")

    def _note(self, **numbers: float) -> None:
        """Put newly chosen numbers into the working point; those of later stages are provisional until chosen."""
        path = self.folder / "working_point.json"
        if path.is_file():
            point = replace(self._working_point(), **numbers)  # type: ignore[arg-type]  # fields by name
        else:
            cuts = {"filter_cut": PROVISIONAL_CUT, "gnn_cut": PROVISIONAL_CUT}
            fixed = {"track_building": self.recipe.track_building}
            point = WorkingPoint.from_mapping({**cuts, **fixed, **numbers}, "chosen on held-out events")
        point.save(path)
        print(f"working point: {numbers}")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m exatrkx.training", description=__doc__)
    parser.add_argument(
        "stage",
        choices=(*KINDS, "all", CHOOSE),
        help=f"the network to train, or all in their order; {CHOOSE}: only the working point, for trained networks",
    )
    parser.add_argument("--train", type=Path, nargs="+", default=[], help="event files to learn from")
    parser.add_argument(
        "--valid", type=Path, nargs="+", required=True, help="event files to choose on, each as weighty as the others"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for weights, checkpoints and logs")
    parser.add_argument("--recipe", choices=RECIPES, default="laptop", help="sizes and schedules")
    parser.add_argument("--keep-radius", type=float, metavar="PART", help="of true edges within the radius")
    parser.add_argument("--keep-filter", type=float, metavar="PART", help="of those above the filter's cut")
    parser.add_argument("--limit", type=int, help="use this many events of each training file")
    parser.add_argument("--start", type=Path, help="folder of weights of the same sizes to start from")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, help="CPU threads; fewer than the cores where others use them too")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(arguments)
    if options.stage != CHOOSE and not options.train:
        parser.error("--train: event files to learn from")
    return options


def _recipe(options: argparse.Namespace) -> Recipe:
    """The recipe, with the goals that the options name in place of its own."""
    recipe = RECIPES[options.recipe]
    goals = {"radius": options.keep_radius, "filter_cut": options.keep_filter}
    changed = {name: part for name, part in goals.items() if part is not None}
    return replace(recipe, goals=replace(recipe.goals, **changed))


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    return run_command("training", lambda: train(options))


def train(options: argparse.Namespace) -> None:
    """Do what the command line asks for.

    Raises:
        ExatrkxError, OSError: events or weights are not as they should be; the text gives the reason.
    """
    training = Training(options)
    for stage in KINDS if options.stage == "all" else (options.stage,):
        training.run(stage)


if __name__ == "__main__":
    raise SystemExit(main())
