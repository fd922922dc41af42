"""Checkpoints of acorn: three networks of its architectures, trained here for a few steps, exported and run."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
import torch
from torch import nn

from exatrkx.contract import ExtraFeature
from exatrkx.events.event import Event, features
from exatrkx.networks.acorn import Filter, InteractionGNN, MetricLearning
from exatrkx.networks.acorn_parameters import HyperParameters
from exatrkx.pipeline import Pipeline
from exatrkx.serving.export import main
from exatrkx.serving.model_config import read_working_point

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

EMBED: Final[dict[str, Any]] = {
    "node_features": ["hit_r", "hit_phi", "hit_z", "charge", "count"],
    "node_scales": [1000, math.pi, 500.0, 10.0, 1.0],
    "emb_hidden": 16,
    "nb_layer": 2,
    "emb_dim": 4,
    "activation": "Tanh",
}
FILTER: Final[dict[str, Any]] = {
    "node_features": ["r", "phi", "z"],
    "node_scales": [1000.0, 3.0, 1000.0],
    "hidden": 16,
    "nb_layer": 3,
    "layernorm": True,
    "hidden_activation": "GELU",
}
GNN: Final[dict[str, Any]] = {
    "node_features": ["z", "r", "count"],
    "node_scales": [1000.0, 1000.0, 2.0],
    "hidden": 8,
    "nb_node_layer": 2,
    "nb_edge_layer": 2,
    "n_graph_iters": 3,
    "layernorm": True,
    "hidden_activation": "SiLU",
    "output_activation": "Tanh",
}
CLASSES: Final[dict[str, Any]] = {"embed": MetricLearning, "filter": Filter, "gnn": InteractionGNN}
PARAMETERS: Final = {"embed": EMBED, "filter": FILTER, "gnn": GNN}
EXTRA: Final = (ExtraFeature("charge", 10.0), ExtraFeature("count"))


def trained(kind: str, parameters: Mapping[str, Any]) -> nn.Module:
    """A network after three steps."""
    torch.manual_seed(3)
    network: nn.Module = CLASSES[kind](HyperParameters(parameters, kind), affine=False)
    network.take_from(EXTRA)  # type: ignore[operator]  # one of acorn's
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    hits = torch.rand(30, 5)
    edges = torch.randint(0, 30, (2, 60))
    for _ in range(3):
        found = network(hits) if kind == "embed" else network(hits, edges)
        optimiser.zero_grad()
        (found - 0.3).square().mean().backward()
        optimiser.step()
    return network


def checkpoint(path: Path, kind: str, **change: Any) -> Path:
    """What Lightning writes: weights and hyper-parameters among much else."""
    parameters = {**PARAMETERS[kind], "lr": 0.001, "stage": kind, "input_dir": "/nowhere", **change}
    torch.save(
        {
            "epoch": 1,
            "global_step": 3,
            "pytorch-lightning_version": "2.1.0",
            "state_dict": trained(kind, parameters).state_dict(),
            "loops": {"fit_loop": {"state_dict": {}}},
            "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5), "best_model_path": "best.ckpt"}},
            "optimizer_states": [{"state": {}, "param_groups": [{"lr": 0.001}]}],
            "lr_schedulers": [],
            "hparams_name": "hparams",
            "hyper_parameters": parameters,
        },
        path,
    )
    return path


def event(count: int = 40) -> Event:
    random = np.random.default_rng(5)
    r, phi, z = random.uniform(30, 1000, count), random.uniform(-3.1, 3.1, count), random.uniform(-2000, 2000, count)
    extra = {"charge": random.uniform(0, 50, count), "count": random.integers(1, 9, count)}
    columns = {name: column.astype(np.float32) for name, column in extra.items()}
    x, y = r * np.cos(phi), r * np.sin(phi)
    return Event(event_id=1, x=x.astype("f4"), y=y.astype("f4"), z=z.astype("f4"), extra=columns)


ACTIVATIONS: Final[dict[str | None, Any]] = {
    None: lambda x: x,
    "Tanh": np.tanh,
    "SiLU": lambda x: x / (1 + np.exp(-x)),
    "GELU": lambda x: x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
}


class Oracle:
    """The same networks in NumPy: one spacepoint and one edge after the other, from the weights' names."""

    def __init__(self, path: Path) -> None:
        content = torch.load(path, weights_only=True)
        self.weights = {name: tensor.double().numpy() for name, tensor in content["state_dict"].items()}
        self.parameters = content["hyper_parameters"]

    def perceptron(self, name: str, x: Numbers, activation: str, last: str | None = None, *, norm: bool) -> Numbers:
        layers = sorted({int(key[len(name) + 1 :].split(".")[0]) for key in self.weights if key.startswith(f"{name}.")})
        for layer in layers:
            x = self.weights[f"{name}.{layer}.weight"] @ x + self.weights[f"{name}.{layer}.bias"]
            if layer != layers[-1]:
                if norm:
                    x = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
                x = ACTIVATIONS[activation](x)
        return np.asarray(ACTIVATIONS[last](x), dtype=np.float64)

    def rows(self, source: Event) -> Numbers:
        x, y, z = (column.astype(np.float64) for column in (source.x, source.y, source.z))
        known = {"r": np.hypot(x, y), "phi": np.arctan2(y, x), "z": z, **source.extra}
        names, scales = self.parameters["node_features"], self.parameters["node_scales"]
        pairs = zip(names, scales, strict=True)
        return np.stack([known[name.removeprefix("hit_")] / scale for name, scale in pairs], axis=1)

    @staticmethod
    def outwards(source: Event, edges: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
        far = source.x.astype(float) ** 2 + source.y.astype(float) ** 2 + source.z.astype(float) ** 2
        return [(int(a), int(b)) if far[a] <= far[b] else (int(b), int(a)) for a, b in edges.T]

    def embed(self, source: Event) -> Numbers:
        rows = [self.perceptron("network", row, "Tanh", norm=True) for row in self.rows(source)]
        return np.stack([row / np.linalg.norm(row) for row in rows])

    def filter(self, source: Event, edges: npt.NDArray[np.int64]) -> Numbers:
        rows = self.rows(source)
        ends = self.outwards(source, edges)
        return np.array(
            [self.perceptron("net", np.concatenate((rows[a], rows[b])), "GELU", norm=True)[0] for a, b in ends]
        )

    def gnn(self, source: Event, edges: npt.NDArray[np.int64]) -> Numbers:
        given = self.parameters.get("aggregation", "sum")
        collect: dict[str, Any] = {"sum": np.sum, "mean": np.mean, "max": np.max}
        kinds = [given] if isinstance(given, str) else given
        hidden, last = self.parameters["hidden"], self.parameters.get("output_activation")
        ends = self.outwards(source, edges)
        both = ends + [(b, a) for a, b in ends] if self.parameters.get("undirected") else ends

        def run(name: str, x: Numbers, final: str | None = last) -> Numbers:
            return self.perceptron(name, x, "SiLU", final, norm=True)

        nodes = [run("node_encoder", row) for row in self.rows(source)]
        states = [run("edge_encoder", np.concatenate((nodes[a], nodes[b]))) for a, b in both]
        for step in range(self.parameters["n_graph_iters"]):
            shared = self.parameters.get("node_net_recurrent", True)
            node_net, edge_net = (
                ("node_network", "edge_network") if shared else (f"node_networks.{step}", f"edge_networks.{step}")
            )
            updated = []
            for number, node in enumerate(nodes):
                parts = [node]
                for side in (1, 0):
                    there = [state for state, ends_ in zip(states, both, strict=True) if ends_[side] == number]
                    parts += [collect[kind](there, axis=0) if there else np.zeros(hidden) for kind in kinds]
                updated.append(run(node_net, np.concatenate(parts)))
            nodes = updated
            states = [
                run(edge_net, np.concatenate((nodes[a], nodes[b], state)))
                for (a, b), state in zip(both, states, strict=True)
            ]
        scores = np.array(
            [
                run("output_edge_classifier", np.concatenate((nodes[a], nodes[b], state)), None)[0]
                for (a, b), state in zip(both, states, strict=True)
            ]
        )
        return np.asarray(scores.reshape(-1, len(ends)).mean(axis=0))


@pytest.mark.parametrize(
    "gnn",
    [
        {},
        {"aggregation": ["sum", "mean", "max"], "undirected": True},
        {"node_net_recurrent": False, "edge_net_recurrent": False, "aggregation": "mean", "output_activation": None},
    ],
)
def test_three_checkpoints_to_three_torchscript_files(
    tmp_path: Path, gnn: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    paths = {kind: checkpoint(tmp_path / f"{kind}.ckpt", kind, **(gnn if kind == "gnn" else {})) for kind in CLASSES}
    named = [word for kind, path in paths.items() for word in (f"--{kind}", str(path))]
    target = tmp_path / "repository"
    assert main([*named, "--radius", "0.3", "--scores", "logits", "--output", str(target)]) == 0, capsys.readouterr()
    point = read_working_point(target)
    assert point.extra_features == "charge/10,count"
    assert point.extra == EXTRA
    files = [target / kind / "1" / "model.pt" for kind in CLASSES]
    pipeline = Pipeline.from_torchscript(files[0], files[1], files[2], point)
    source = event()
    hits = torch.from_numpy(features(source, point.extra))
    random = np.random.default_rng(1)
    edges = np.stack((random.integers(1, 40, 90), random.integers(0, 40, 90)))
    index = torch.from_numpy(edges)
    for kind, network, inputs in (
        ("embed", pipeline.embed, (hits,)),
        ("filter", pipeline.edge_filter, (hits, index)),
        ("gnn", pipeline.gnn, (hits, index)),
    ):
        expected = getattr(Oracle(paths[kind]), kind)(source, *([edges] if len(inputs) > 1 else []))
        np.testing.assert_allclose(network(*inputs).numpy(), expected, rtol=2e-4, atol=2e-5)
    assert pipeline(hits).labels.shape == (40,)


def test_columns_are_those_of_the_working_point_where_it_has_them(tmp_path: Path) -> None:
    paths = {kind: checkpoint(tmp_path / f"{kind}.ckpt", kind) for kind in CLASSES}
    named = [word for kind, path in paths.items() for word in (f"--{kind}", str(path))]
    target = tmp_path / "repository"
    given = ["--radius", "0.3", "--scores", "logits", "--extra-features", "count/4,other,charge/2"]
    assert main([*named, *given, "--output", str(target)]) == 0
    point, source = read_working_point(target), event()
    source.extra["other"] = source.x  # type: ignore[index]  # a dict
    files = [target / kind / "1" / "model.pt" for kind in CLASSES]
    pipeline = Pipeline.from_torchscript(files[0], files[1], files[2], point)
    found = pipeline.embed(torch.from_numpy(features(source, point.extra))).numpy()
    np.testing.assert_allclose(found, Oracle(paths["embed"]).embed(source), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("embed", {"activation": "Softmax"}, "activation must be one of ReLU, .*found 'Softmax'"),
        ("embed", {"nb_layer": 5}, "weights do not fit its hyper-parameters: .*network.6"),
        ("embed", {"nb_layer": "two"}, "hyper-parameter nb_layer: found 'two'"),
        ("embed", {"emb_dim": None}, "hyper-parameter emb_dim: found None"),
        ("embed", {"node_scales": [1.0]}, "node_features and node_scales do not fit"),
        ("embed", {"node_scales": [1.0, 1.0, 0.0, 1.0, 1.0]}, "node_scales must be positive"),
        ("filter", {"batchnorm": True}, "batchnorm without track_running_stats"),
        ("filter", {"layernorm": "yes"}, "hyper-parameter layernorm: found 'yes'"),
        ("gnn", {"aggregation": "softmax"}, "aggregation must be of sum, add, mean, max, found 'softmax'"),
        ("gnn", {"node_net_recurrent": False}, "weights do not fit its hyper-parameters: .*node_networks"),
    ],
)
def test_hyper_parameters_that_are_not_as_expected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, change: dict[str, Any], reason: str
) -> None:
    path = checkpoint(tmp_path / "net.ckpt", kind)
    content = torch.load(path, weights_only=True)
    torch.save({**content, "hyper_parameters": content["hyper_parameters"] | change}, path)
    refused(path, kind, reason, capsys)


def refused(path: Path, kind: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    target = path.parent / "repository"
    options = ["--radius", "0.3"] if kind == "embed" else []
    assert main([f"--{kind}", str(path), *options, "--output", str(target)]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert re.search(rf"{re.escape(str(path))}: .*{reason}", told), told
    assert not target.exists()


def test_files_that_are_no_such_checkpoints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.ckpt"
    refused(path, "embed", "no such file", capsys)
    path.write_text("nothing")
    refused(path, "embed", "no checkpoint of Lightning: ", capsys)
    good = torch.load(checkpoint(path, "embed"), weights_only=True)
    refused(path, "filter", "no Filter of acorn: expected weights net.…, found network", capsys)
    refused(path, "gnn", "no InteractionGNN of acorn: expected weights node_encoder.…, found network", capsys)
    torch.save({"state_dict": good["state_dict"]}, path)
    refused(path, "embed", "no checkpoint of Lightning: it has no 'hyper_parameters'", capsys)
    torch.save({**good, "hyper_parameters": {}}, path)
    refused(path, "embed", "no hyper-parameter node_features", capsys)
    torch.save({**good, "hyper_parameters": None}, path)
    refused(path, "embed", "state_dict and hyper_parameters must be dictionaries", capsys)
    torch.save({**good, "state_dict": {}}, path)
    refused(path, "embed", "no MetricLearning of acorn: expected weights network.…, found none", capsys)
    torch.save({**good, "hyper_parameters": {"f": print}}, path)
    refused(path, "embed", "no checkpoint of Lightning", capsys)


def test_a_column_that_the_list_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = checkpoint(tmp_path / "net.ckpt", "embed")
    given = ["--radius", "0.3", "--extra-features", "charge", "--output", str(tmp_path / "repository")]
    assert main(["--embed", str(path), *given]) == 1
    assert f"{path}: the network takes count, which extra_features lacks" in capsys.readouterr().err
