"""Working point: every radius, cap and cut of the pipeline, read from one file."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from exatrkx.errors import ContractError

WEIGHTS_DIR: Final = Path(__file__).parent / "weights"
"""The trained networks and their working point, as committed."""


COMPONENTS: Final = "components"
CONTRACTION: Final = "contraction"
TRACK_BUILDING: Final = (COMPONENTS, CONTRACTION)
"""Methods of the last stage; the C++ engine (engine/working_point.hpp) has the same."""

COMPLETION_CUTS: Final = (
    "completion_reach",
    "completion_sigmas",
    "hit_resolution",
    "scattering_length",
    "strip_resolution",
    "max_chance",
)
"""Real numbers of the track completion, in the order of C++'s `CompletionCuts`."""

LONGEST_REACH: Final = 100_000.0
"""Largest of them that is accepted, in whatever unit: more than the size of any detector in mm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingPoint:
    """Working point: the radius, caps and cuts that turn three networks into tracks.

    Attributes:
        radius: largest distance, in the embedding space, between two spacepoints that are joined by an edge.
        max_neighbors: a pair is kept only if one end is among this many nearest of the other.
        filter_cut: probability in [0, 1] above which the filter keeps an edge.
        gnn_cut: probability in [0, 1] above which the GNN's edge joins a track candidate.
        min_hits: spacepoints that a component needs to be a track candidate.
        track_building: what makes candidates of scored edges: `components`, or `contraction`, which takes components
            apart where their edges disagree; see `exatrkx.stages.track_building`.
        completion_reach: how far in mm along a candidate's helix, from its nearest spacepoint, further ones are looked
            for; 0 for no track completion, and then the numbers below mean nothing; see
            `exatrkx.stages.track_building.complete_tracks`.
        completion_sigmas: most standard deviations that a spacepoint is from the helix.
        hit_resolution: standard deviation in mm of a spacepoint across the track; the finest of the detector.
        scattering_length: by a layer's multiple scattering a track turns as much as by its curvature in these mm: the
            Highland angle times the momentum over 0.3 times the field, 3.6 mrad · GeV / (0.3 · 2 T).
        strip_resolution: standard deviation in mm of the coarse coordinate of strips 1 m from the beam; it grows with
            the square of the distance, as the length of cells of constant occupancy does.
        max_chance: a spacepoint at radius r is taken where (free spacepoints) · σₜ σₗ (1 + χ²) / r² is at most this.
        min_track_hits: spacepoints that a candidate needs to be left after completion.
        max_edges: a graph with more edges than this is refused, which bounds the memory of one event.
        embedding: the network that the radius was chosen for, by the hash of its weights
            (`exatrkx.networks.storage.hash_tensors`); empty where nothing is known of it.
    """

    radius: float
    max_neighbors: int
    filter_cut: float
    gnn_cut: float
    min_hits: int = 3
    max_edges: int = 5_000_000
    track_building: str = COMPONENTS
    completion_reach: float = 0.0
    completion_sigmas: float = 5.0
    hit_resolution: float = 0.013
    scattering_length: float = 6.0
    strip_resolution: float = 4.0
    max_chance: float = 10.0
    min_track_hits: int = 5
    embedding: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        problems = []
        if not (math.isfinite(self.radius) and self.radius > 0):
            problems.append(f"radius must be positive and finite, found {self.radius}")
        problems += [
            f"{name} must be a probability in [0, 1], found {getattr(self, name)}"
            for name in ("filter_cut", "gnn_cut")
            if not 0.0 <= getattr(self, name) <= 1.0
        ]
        problems += [
            f"{name} must be at least 1, found {getattr(self, name)}"
            for name in ("max_neighbors", "min_hits", "max_edges", "min_track_hits")
            if getattr(self, name) < 1
        ]
        problems += [
            f"{name} must be from 0 to {LONGEST_REACH:g}, found {getattr(self, name)}"
            for name in COMPLETION_CUTS
            if not 0.0 <= getattr(self, name) <= LONGEST_REACH
        ]
        if self.track_building not in TRACK_BUILDING:
            known = " or ".join(TRACK_BUILDING)
            problems.append(f"track_building must be {known}, found {self.track_building}")
        if problems:
            raise ContractError("working point: " + "; ".join(problems))

    @classmethod
    def load(cls, path: Path = WEIGHTS_DIR / "working_point.json") -> WorkingPoint:
        """Read a working point from JSON.

        Raises:
            ContractError: a field is missing, unknown, of the wrong type or out of range.
        """
        try:
            values = json.loads(path.read_text())
        except ValueError as error:  # of JSON, or of text at all
            raise ContractError(f"{path}: not a working point: {error}") from error
        if not isinstance(values, dict):
            raise ContractError(f"{path}: not a working point: expected names and values, found {values!r:.60}")
        return cls.from_mapping(values, str(path))

    @classmethod
    def from_mapping(cls, values: dict[str, object], source: str) -> WorkingPoint:
        """Build a working point from names and values (or their text); `source` is named in errors."""
        known = {"int": int, "float": float, "str": str}
        types = {field.name: known[str(field.type)] for field in fields(cls)}
        unknown = sorted(set(values) - set(types))
        if unknown:
            raise ContractError(f"{source}: unknown field {', '.join(unknown)}; known are {', '.join(types)}")
        try:
            # Through text, so that 3.7 neighbours are refused and Triton's string parameters are read alike.
            numbers: dict[str, Any] = {name: types[name](str(value)) for name, value in values.items()}
            return cls(**numbers)
        except (TypeError, ValueError) as error:
            raise ContractError(f"{source}: {error}") from error

    def to_json(self) -> str:
        """The text that `load` reads."""
        return json.dumps(self.numbers() | {"embedding": self.embedding}, indent=2) + "\n"

    def fits(self, embedding: str) -> bool:
        """Whether the radius was chosen for the embedding of this hash, or for one of which nothing is known."""
        return self.embedding in ("", embedding)

    def numbers(self) -> dict[str, float | str]:
        """What the stages work with: all but the embedding that the radius was chosen for."""
        return {name: value for name, value in asdict(self).items() if name in PIPELINE_PARAMETERS}


PIPELINE_PARAMETERS: Final = tuple(field.name for field in fields(WorkingPoint) if field.name != "embedding")
"""What the stages read of a working point."""


def logit(probability: float) -> float:
    """The score above which a network's logit means more than `probability`; −∞ at 0 and +∞ at 1."""
    if probability <= 0.0:
        return -math.inf
    if probability >= 1.0:
        return math.inf
    return math.log(probability) - math.log1p(-probability)
