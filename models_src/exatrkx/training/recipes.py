"""Hyperparameters: sizes and schedules of the three networks, by name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from exatrkx.working_point import CONTRACTION


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Faults of a detector, each drawn anew for each event, evenly from none to the number given here.

    Attributes:
        share: of the events that have faults, 0 … 1.
        lost: part of the spacepoints that the detector misses; the true edge then goes to the next one of the track.
        noise: spacepoints of no particle, as a part of all.
        shift: of the beam line from where it is taken to be, in mm.
        smearing: standard deviation, in mm, that the resolution along r·φ and along z is worse by.
    """

    share: float = 0.0
    lost: float = 0.0
    noise: float = 0.0
    shift: float = 0.0
    smearing: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Training schedule: how long, and at which learning rate.

    Attributes:
        epochs: passes over the training events.
        minutes: that the training takes in place of a number of epochs; the one-cycle schedule then follows the clock.
        batch: events whose gradients are added before each step.
        parts: that the edges of an event are dealt out to, with a step for each; of a network of single edges.
        learning_rate: the highest of the one-cycle schedule.
        seed: of the initial weights, the order of events and their augmentation.
        faults: of the detector, that events are given.
    """

    epochs: int
    minutes: float | None = None
    batch: int = 2
    parts: int = 1
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    seed: int = 1
    faults: Faults = field(default_factory=Faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goals:
    """Efficiency goals: the part of the true edges with pT > 1 GeV that a stage has to keep.

    Attributes:
        radius: of all true edges, by the neighbour search.
        filter_cut: of those that the filter sees, by its cut.
        max_neighbors: cap on the neighbours of one spacepoint.
    """

    radius: float = 0.995
    filter_cut: float = 0.998
    max_neighbors: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Hyperparameters of `python -m exatrkx.training` for each network.

    Attributes:
        embed_sizes, filter_sizes, gnn_sizes: arguments of the networks, all of them: they are kept with the weights.
        embed, filter, gnn: their schedules.
        goals: what the working point must keep.
        gnn_training_cut: probability for the filter's cut on the graphs that the GNN learns from, as a part of the
            chosen one: a little looser, so that the cut can be moved afterwards.
        track_building: method of the last stage.
    """

    embed: Schedule
    filter: Schedule
    gnn: Schedule
    embed_sizes: dict[str, int] = field(
        default_factory=lambda: {"hidden": 128, "layers": 4, "dimension": 8, "circles": 2}
    )
    filter_sizes: dict[str, int] = field(default_factory=lambda: {"hidden": 64, "layers": 3})
    gnn_sizes: dict[str, int] = field(
        default_factory=lambda: {"hidden": 32, "triplet_hidden": 24, "rounds": 5, "most": 10}
    )
    goals: Goals = field(default_factory=Goals)
    gnn_training_cut: float = 0.5
    track_building: str = CONTRACTION


FAULTS: Final = Faults(share=0.5, lost=0.05, noise=0.1, shift=2.0, smearing=0.1)
"""Half of the events stay ideal, and the others have all faults, from hardly any to what a bad detector has."""

_LAPTOP: Final = Recipe(
    embed=Schedule(epochs=10, batch=1, learning_rate=4e-3, faults=FAULTS),
    filter=Schedule(epochs=16, batch=1, parts=4, learning_rate=3e-3, faults=FAULTS),
    gnn=Schedule(epochs=6, batch=1, learning_rate=3e-3, faults=FAULTS),
    goals=Goals(radius=0.999, filter_cut=0.998, max_neighbors=128),
    gnn_training_cut=0.8,
)

RECIPES: Final[dict[str, Recipe]] = {
    # Minutes, to see that everything works; also what the tests run.
    "quick": Recipe(embed=Schedule(epochs=2), filter=Schedule(epochs=1), gnn=Schedule(epochs=2)),
    # Within two hours on one CPU core: what the committed weights were made with, see weights/REPORT.md.
    "laptop": _LAPTOP,
    # The same for a GNN that goes on from its own weights.
    "refine": replace(_LAPTOP, gnn=replace(_LAPTOP.gnn, epochs=5, learning_rate=2e-3)),
    # Minutes on one GPU, with the same goals: smaller networks, which learn from more steps, and from faults too.
    "gpu": Recipe(
        embed=Schedule(epochs=16, batch=1, learning_rate=4e-3, faults=FAULTS),
        filter=Schedule(epochs=4, batch=1, parts=8, learning_rate=3e-3, faults=FAULTS),
        gnn=Schedule(epochs=12, batch=1, learning_rate=3e-3, faults=FAULTS),
        filter_sizes={"hidden": 32, "layers": 3},
        gnn_sizes={"hidden": 24, "triplet_hidden": 16, "rounds": 3, "most": 8},
        goals=Goals(radius=0.999, filter_cut=0.998, max_neighbors=128),
        gnn_training_cut=0.8,
    ),
}
