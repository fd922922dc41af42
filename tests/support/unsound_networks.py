"""Networks that must not be served, each for another reason, and the sound ones beside them; made by factories."""

from __future__ import annotations

from typing import Any, Final

import torch
from tiny_networks import GNN_LENGTH, TinyEdges, TinyEmbedding
from torch import Tensor, nn

OPERATOR: Final = "unsound_networks::add_one"

_library: Any = torch.library.Library("unsound_networks", "DEF")  # type: ignore[no-untyped-call]  # torch's
_library.define("add_one(Tensor x) -> Tensor")
_library.impl("add_one", lambda x: x + 1.0, "CompositeExplicitAutograd")


class Layers(nn.Module):
    """Scores by a perceptron on the ends of each edge, with weights that a test can know."""

    def __init__(self, last: nn.Module | None = None) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 8)
        self.last = last or nn.Identity()
        self.score = nn.Linear(8, 1)
        with torch.no_grad():
            for number, tensor in enumerate(self.parameters()):
                tensor.copy_(torch.linspace(-1.0 - number, 1.0, tensor.numel()).reshape(tensor.shape))

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        ends = torch.cat((features[edge_index[0]], features[edge_index[1]]), dim=1)
        scores: Tensor = self.score(self.last(self.linear(ends))).squeeze(1)
        return scores


class AlwaysDropout(nn.Module):
    """Dropout that no mode turns off."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, 0.5)


def always_dropout() -> nn.Module:
    return Layers(AlwaysDropout())


def dropout() -> nn.Module:
    """Sound: its dropout is off when it is served."""
    return Layers(nn.Dropout(0.5))


class StuckInTraining(nn.BatchNorm1d):
    """Batch normalisation that eval() does not reach."""

    def train(self, mode: bool = True) -> StuckInTraining:  # noqa: ARG002 - as torch has it
        super().train(True)
        return self


def always_batch_norm() -> nn.Module:
    return Layers(StuckInTraining(8))


def batch_norm() -> nn.Module:
    """Sound, as `dropout`."""
    return Layers(nn.BatchNorm1d(8))


class Noisy(TinyEdges):
    def __init__(self) -> None:
        super().__init__(GNN_LENGTH)

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        return super().forward(features, edge_index) + 1e-3 * torch.rand(edge_index.size(1))


class Counting(Noisy):
    """Another answer with each call, and no random number."""

    calls = 0

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        self.calls += 1
        return TinyEdges.forward(self, features, edge_index) * self.calls


class InPlace(Noisy):
    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        return TinyEdges.forward(self, features.mul_(0.5), edge_index)


class Clamping(Noisy):
    """In place as well, and nothing is changed where all are within."""

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        return TinyEdges.forward(self, features.clamp_(-9.0, 9.0), edge_index)


class TurnsEdges(Noisy):
    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        scores = TinyEdges.forward(self, features, edge_index)
        edge_index.copy_(edge_index.flip(0))
        return scores


class ByPlace(Noisy):
    """Scores that grow along the list of edges."""

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        return TinyEdges.forward(self, features, edge_index).cumsum(0)


class PlaceEmbedding(TinyEmbedding):
    def forward(self, features: Tensor) -> Tensor:
        return features + torch.arange(features.size(0)).unsqueeze(1)


class Probabilities(Noisy):
    """TinyEdges' logits, through a sigmoid that no graph shows at its end."""

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        scores = TinyEdges.forward(self, features, edge_index) / 10.0
        return 1.0 / (1.0 + torch.exp(-scores))


class ProbabilityColumn(Probabilities):
    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        return super().forward(features, edge_index).unsqueeze(1)


class Foreign(Noisy):
    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        added: Tensor = torch.ops.unsound_networks.add_one(TinyEdges.forward(self, features, edge_index))
        return added


class ForeignInABranch(Noisy):
    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        scores = TinyEdges.forward(self, features, edge_index)
        added: Tensor = _added_to_many(scores)
        return added


@torch.jit.script
def _added_to_many(scores: Tensor) -> Tensor:
    if scores.size(0) > 1_000_000:
        added: Tensor = torch.ops.unsound_networks.add_one(scores)
        return added
    return scores


class OnlyNearTheCentre(Noisy):
    """A table that ends at |z| = 1.2 m: the probes' features end before it, and a real event's do not."""

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        weight = torch.linspace(1.0, 2.0, 12)[(features[:, 2].abs() * 10.0).long()]
        return TinyEdges.forward(self, features, edge_index) * weight[edge_index[0]]


class Fixed(Noisy):
    """Only so many edges: what a trace of a Python loop does."""

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        return TinyEdges.forward(self, features, edge_index)[:120]


def wide_embedding() -> nn.Module:
    """Sound, of more columns than this project's, and with weights of its own."""
    return _known(nn.Linear(3, 12))


def random_embedding() -> nn.Module:
    return nn.Linear(3, 12)


def seeded_embedding() -> nn.Module:
    """Random all the same, though the same each time."""
    torch.manual_seed(5)
    return nn.Linear(3, 12)


def half_loaded() -> nn.Module:
    """With a layer that the weights of another network have nothing for."""
    network = nn.Sequential(nn.Linear(3, 12), nn.Linear(12, 12))
    network.load_state_dict(_known(nn.Linear(3, 12)).state_dict(prefix="0."), strict=False)
    return network


def _known(linear: nn.Linear) -> nn.Linear:
    with torch.no_grad():
        linear.weight.copy_(torch.linspace(-1.0, 1.0, linear.weight.numel()).reshape(linear.weight.shape))
        linear.bias.zero_()
    return linear
