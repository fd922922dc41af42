"""Three networks of one line each, whose tracks anyone can work out by hand: spacepoints that lie close together.

They are served in place of trained ones where a test is about the serving.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from exatrkx.files import write_files
from exatrkx.networks.storage import hash_weights
from exatrkx.pipeline import Pipeline
from exatrkx.serving.model_config import edited_configs
from exatrkx.working_point import WorkingPoint

if TYPE_CHECKING:
    from pathlib import Path

WORKING_POINT: Final = WorkingPoint(
    radius=0.1, max_neighbors=16, filter_cut=0.5, gnn_cut=0.5, min_hits=3, max_edges=200_000
)
FILTER_LENGTH: Final = 0.08
GNN_LENGTH: Final = 0.05


class TinyEmbedding(nn.Module):
    """The features themselves."""

    def forward(self, features: Tensor) -> Tensor:
        return features + 0.0


class TinyEdges(nn.Module):
    """A positive logit for an edge that is shorter than `length`."""

    def __init__(self, length: float) -> None:
        super().__init__()
        self.length = length

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        step = features.index_select(0, edge_index[0]) - features.index_select(0, edge_index[1])  # [E,3]
        return (self.length - step.square().sum(dim=1).sqrt()) * 100.0


def write_tiny_repository(source: Path, target: Path, working_point: WorkingPoint = WORKING_POINT) -> Path:
    """A copy of the model repository with these networks and this working point. Returns `target`."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("model.pt", "__pycache__", "*.unfinished*"))
    networks = {"embed": TinyEmbedding(), "filter": TinyEdges(FILTER_LENGTH), "gnn": TinyEdges(GNN_LENGTH)}
    for name, network in networks.items():
        save_scripted(network, target / name / "1" / "model.pt")
    weights = {name: hash_weights(network) for name, network in networks.items()}
    write_files(edited_configs(target, working_point, weights))
    return target


def tiny_pipeline(working_point: WorkingPoint = WORKING_POINT) -> Pipeline:
    """The pipeline of these networks, as a function call."""
    return Pipeline(TinyEmbedding(), TinyEdges(FILTER_LENGTH), TinyEdges(GNN_LENGTH), working_point)


def save_scripted(network: nn.Module, path: Path) -> None:
    torch.jit.save(torch.jit.script(network.eval()), str(path))


def clumps(num_clumps: int, size: int, seed: int = 0) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Features [N,3] of well separated clumps of `size` spacepoints each, in random order, and the clump of each."""
    random = np.random.default_rng(seed)
    side = int(np.ceil(num_clumps ** (1 / 3)))
    places = np.stack(np.unravel_index(np.arange(num_clumps), (side, side, side)), axis=1)
    centres = places / (side, side / 1.5, side) + (0.5, -0.5, 0.0)  # in a detector: (r / 1000 mm, φ / π, z / 1000 mm)
    clump = random.permutation(np.repeat(np.arange(num_clumps), size))
    offsets = random.uniform(-0.01, 0.01, (len(clump), 3))
    return (centres[clump] + offsets).astype(np.float32), clump
