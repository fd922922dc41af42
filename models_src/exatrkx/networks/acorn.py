"""Networks of the Exa.TrkX/acorn framework, out of the checkpoints that Lightning writes of them.

A checkpoint has weights (`state_dict`) and `hyper_parameters`, among these `node_features`, the columns that the
network takes by name, and `node_scales`, what each is divided by. The architectures are those of the papers, written
anew; names of weights, and what hyper-parameters mean, are acorn's.

Edges point outwards, as they do there: from the spacepoint that is nearer to the detector's centre.

Source: X. Ju et al., Eur. Phys. J. C 81 (2021) 876, sections 3.1 to 3.3; P. Battaglia et al., arXiv:1612.00222, for the
interaction network.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

from exatrkx.contract import EMBED, FILTER, GNN, ExtraFeature
from exatrkx.errors import ContractError
from exatrkx.networks.acorn_parameters import POSITION, HyperParameters, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

SUFFIX: Final = ".ckpt"
_AGGREGATIONS: Final = {"sum": "sum", "add": "sum", "mean": "mean", "max": "amax"}
_BATCH_NORM_EPS: Final = 6e-5
_FORMS: Final = {EMBED.name: "network.", FILTER.name: "net.", GNN.name: "node_encoder."}
"""How the names of weights begin: of the metric learning's MLP, the filter's MLP, and the interaction network."""


class AcornNetwork(nn.Module):
    """A network that takes columns by name; `take_from` says in which order FEATURES has them.

    Shapes:
        features: [N,F] FP32; edge_index: [2,E] INT64.
        returns: [N,D] FP32 of the embedding, [E] FP32 logits of the others.
    """

    index: Tensor
    factor: Tensor

    def __init__(self, parameters: HyperParameters) -> None:
        super().__init__()
        self.columns = parameters.features()
        self.where = parameters.where

    def take_from(self, extra: Sequence[ExtraFeature]) -> None:
        """Take the columns out of FEATURES with these after the position.

        Raises:
            ContractError: one of the network's is not among them.
        """
        known = [*(ExtraFeature(name, scale) for name, scale in POSITION.items()), *extra]
        places = {one.name: place for place, one in enumerate(known)}
        missing = [one.name for one in self.columns if plain(one.name) not in places]
        if missing:
            raise ContractError(f"{self.where}: the network takes {', '.join(missing)}, which extra_features lacks")
        index = [places[plain(one.name)] for one in self.columns]
        factor = [known[place].scale / one.scale for place, one in zip(index, self.columns, strict=True)]
        self.register_buffer("index", torch.tensor(index), persistent=False)
        self.register_buffer("factor", torch.tensor(factor, dtype=torch.float32), persistent=False)

    def nodes(self, features: Tensor) -> Tensor:
        """[N,columns] what the network was trained on."""
        return features.index_select(1, self.index) * self.factor

    @staticmethod
    def ends(features: Tensor, edge_index: Tensor) -> tuple[Tensor, Tensor]:
        """[E] and [E]: the spacepoint of each edge that is nearer to the centre, and the other one."""
        distance = features[:, 0].square() + features[:, 2].square()
        first, second = edge_index[0], edge_index[1]
        outwards = distance.index_select(0, first) <= distance.index_select(0, second)
        return torch.where(outwards, first, second), torch.where(outwards, second, first)


class MetricLearning(AcornNetwork):
    """Embedding: a multilayer perceptron on each spacepoint, to the unit sphere."""

    def __init__(self, parameters: HyperParameters, *, affine: bool) -> None:
        super().__init__(parameters)
        hidden, layers = parameters.get("emb_hidden", int), parameters.get("nb_layer", int)
        sizes = [len(self.columns), *[hidden] * layers, parameters.get("emb_dim", int)]
        self.network = _mlp(sizes, parameters.activation("activation"), None, layer_norm=True, affine=affine)

    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.normalize(self.network(self.nodes(features)))


class Filter(AcornNetwork):
    """Edge filter: a multilayer perceptron, each layer half as wide as the one before, on both ends of an edge."""

    def __init__(self, parameters: HyperParameters, *, affine: bool) -> None:
        super().__init__(parameters)
        hidden, layers = parameters.get("hidden", int), parameters.get("nb_layer", int)
        sizes = [2 * len(self.columns), *(hidden // 2**layer for layer in range(layers)), 1]
        self.net = _mlp(sizes, parameters.activation("hidden_activation"), None, affine=affine, **_norms(parameters))

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        nodes, (start, end) = self.nodes(features), self.ends(features, edge_index)
        scores: Tensor = self.net(torch.cat((nodes.index_select(0, start), nodes.index_select(0, end)), dim=1))
        return scores.reshape(-1)


class InteractionGNN(AcornNetwork):
    """Interaction network: states of nodes and edges, updated in turn; edges are added up at either of their ends."""

    def __init__(self, parameters: HyperParameters, *, affine: bool) -> None:
        super().__init__(parameters)
        hidden, rounds = parameters.get("hidden", int), parameters.get("n_graph_iters", int)
        of_node, of_edge = parameters.get("nb_node_layer", int), parameters.get("nb_edge_layer", int)
        given = parameters.get("aggregation", (str, list), "sum")
        asked = [given] if isinstance(given, str) else given
        if not asked or any(one not in _AGGREGATIONS for one in asked):
            known = ", ".join(_AGGREGATIONS)
            raise ContractError(f"{self.where}: aggregation must be of {known}, found {given!r}")
        self.aggregations = [_AGGREGATIONS[one] for one in asked]
        self.undirected = bool(parameters.get("undirected", bool, False))
        self.rounds = rounds
        activation, last = parameters.activation("hidden_activation"), parameters.activation("output_activation")
        norms = _norms(parameters) | {"affine": affine}

        def made(inputs: int, layers: int) -> nn.Sequential:
            return _mlp([inputs, *[hidden] * layers], activation, last, **norms)

        def of_round(kind: str, inputs: int, layers: int) -> None:
            """One network for all rounds, or one for each."""
            if parameters.get(f"{kind}_net_recurrent", bool, True):
                self.add_module(f"{kind}_network", made(inputs, layers))
            else:
                self.add_module(f"{kind}_networks", nn.ModuleList(made(inputs, layers) for _ in range(rounds)))

        self.node_encoder = made(len(self.columns), of_node)
        self.edge_encoder = made(2 * hidden, of_edge)
        of_round("edge", 3 * hidden, of_edge)
        of_round("node", (1 + 2 * len(self.aggregations)) * hidden, of_node)
        self.output_edge_classifier = _mlp([3 * hidden, *[hidden] * of_edge, 1], activation, None, **norms)

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        start, end = self.ends(features, edge_index)
        edges = start.size(0)
        if self.undirected:
            start, end = torch.cat((start, end)), torch.cat((end, start))
        nodes = self.node_encoder(self.nodes(features))
        states = self.edge_encoder(_beside(nodes, start, end))
        for round_ in range(self.rounds):
            sums = [self._collected(states, at, nodes) for at in (end, start)]
            nodes = self._network("node", round_)(torch.cat((nodes, *sums), dim=1))
            states = self._network("edge", round_)(torch.cat((_beside(nodes, start, end), states), dim=1))
        scores: Tensor = self.output_edge_classifier(torch.cat((_beside(nodes, start, end), states), dim=1)).reshape(-1)
        return (scores[:edges] + scores[edges:]) / 2 if self.undirected else scores

    def _network(self, kind: str, round_: int) -> nn.Module:
        """What updates nodes, or edges, in a round."""
        found: nn.Module = getattr(self, f"{kind}_network", None) or getattr(self, f"{kind}_networks")[round_]
        return found

    def _collected(self, states: Tensor, at: Tensor, nodes: Tensor) -> Tensor:
        """[N,hidden·aggregations] the states of the edges at each node; zeros where there is none."""
        where = at.unsqueeze(1).expand(states.size())
        zeros = torch.zeros_like(nodes)
        found = [zeros.scatter_reduce(0, where, states, kind, include_self=False) for kind in self.aggregations]
        return torch.cat(found, dim=1)


_CLASSES: Final[dict[str, type[MetricLearning | Filter | InteractionGNN]]] = {
    EMBED.name: MetricLearning,
    FILTER.name: Filter,
    GNN.name: InteractionGNN,
}


def load_checkpoint(kind: str, path: Path) -> AcornNetwork:
    """Read a network of acorn, in evaluation mode on the CPU; `take_from` has still to be called.

    Args:
        kind: the served model: embed, filter or gnn.
        path: a checkpoint as Lightning writes it.

    Raises:
        ContractError: it is none, or of another network than this kind's; the text says what was found.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        weights, values = content["state_dict"], content["hyper_parameters"]
    except FileNotFoundError:
        raise ContractError(f"{path}: no such file") from None
    except KeyError as error:
        raise ContractError(f"{path}: no checkpoint of Lightning: it has no {error}") from error
    except Exception as error:  # unpickling raises kinds of its own
        reason = str(error).strip().partition("\n")[0]
        raise ContractError(f"{path}: no checkpoint of Lightning: {reason}") from error
    if not isinstance(weights, dict) or not isinstance(values, dict):
        raise ContractError(f"{path}: no checkpoint of Lightning: state_dict and hyper_parameters must be dictionaries")
    begin = _FORMS[kind]
    if not any(name.startswith(begin) for name in weights):
        found = ", ".join(sorted({name.partition(".")[0] for name in weights})) or "none"
        raise ContractError(f"{path}: no {_CLASSES[kind].__name__} of acorn: expected weights {begin}…, found {found}")
    affine = any(weights[name].dim() == 1 and name.endswith("weight") for name in weights)
    network = _CLASSES[kind](HyperParameters(values, str(path)), affine=affine)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ContractError(f"{path}: weights do not fit its hyper-parameters: {reason:.400}") from error
    return network.eval()


def taken_features(networks: Iterable[nn.Module]) -> tuple[ExtraFeature, ...]:
    """The columns beside the position that any of these networks takes, with the scale of the first one."""
    found: dict[str, ExtraFeature] = {}
    for network in networks:
        for one in network.columns if isinstance(network, AcornNetwork) else ():
            if plain(one.name) not in POSITION:
                found.setdefault(one.name, one)
    return tuple(found.values())


def _beside(nodes: Tensor, start: Tensor, end: Tensor) -> Tensor:
    return torch.cat((nodes.index_select(0, start), nodes.index_select(0, end)), dim=1)


def _norms(parameters: HyperParameters) -> dict[str, bool]:
    batch_norm = bool(parameters.get("batchnorm", bool, False))
    if batch_norm and not parameters.get("track_running_stats", bool, False):
        raise ContractError(
            f"{parameters.where}: batchnorm without track_running_stats makes a spacepoint's answer depend on all "
            "others of its event, and has none for one spacepoint"
        )
    return {"layer_norm": bool(parameters.get("layernorm", bool, False)), "batch_norm": batch_norm}


def _mlp(
    sizes: Sequence[int],
    activation: str | None,
    last: str | None,
    *,
    layer_norm: bool = False,
    batch_norm: bool = False,
    affine: bool = False,
) -> nn.Sequential:
    """Linear layers of these sizes; norms and activation after each but the last, after which there is `last`."""
    steps: list[nn.Module] = []
    for layer, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        steps.append(nn.Linear(inputs, outputs))
        if layer + 2 == len(sizes):
            break
        if layer_norm:
            steps.append(nn.LayerNorm(outputs, elementwise_affine=affine and not batch_norm))
        if batch_norm:
            steps.append(nn.BatchNorm1d(outputs, eps=_BATCH_NORM_EPS))
        steps.append(getattr(nn, activation or "ReLU")())
    if last is not None:
        steps.append(getattr(nn, last)())
    return nn.Sequential(*steps)
