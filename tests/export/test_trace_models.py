"""The export command: all or nothing, in place or as a complete copy, and what it says of what it changed."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import torch
from safetensors.torch import load_file

from exatrkx.networks.mlp import EdgeFilter, Embedding
from exatrkx.networks.storage import KINDS, hash_tensors, network_bytes
from exatrkx.networks.triplet_network import TripletNetwork
from exatrkx.pipeline import Pipeline
from exatrkx.project_files import project_files
from exatrkx.serving.export import main
from exatrkx.serving.model_config import read_working_point
from exatrkx.working_point import WorkingPoint

OWN: Final = """
from tiny_networks import FILTER_LENGTH, GNN_LENGTH, TinyEdges, TinyEmbedding

def edge_filter():
    return TinyEdges(FILTER_LENGTH)

def gnn():
    return TinyEdges(GNN_LENGTH)

class Probability(TinyEdges):
    def __init__(self):
        super().__init__(GNN_LENGTH)

    def forward(self, features, edge_index):
        return super().forward(features, edge_index).sigmoid()
"""
REPOSITORY: Final = project_files().model_repository
POINT: Final = WorkingPoint(radius=0.1, max_neighbors=16, filter_cut=0.5, gnn_cut=0.25, max_edges=1000)
NETWORKS: Final = tuple(f"{kind}/1/model.pt" for kind in KINDS)


@pytest.fixture
def own(tmp_path: Path) -> list[str]:
    """Options that name three tiny networks and their working point."""
    source = tmp_path / "own_networks.py"
    source.write_text(OWN)
    (tmp_path / "point.json").write_text(POINT.to_json())
    factories = {"embed": "TinyEmbedding", "filter": "edge_filter", "gnn": "gnn"}
    named = [word for kind, factory in factories.items() for word in (f"--{kind}", f"{source}:{factory}")]
    return [*named, "--working-point", str(tmp_path / "point.json")]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A model repository with networks of old."""
    copy = tmp_path / "repository"
    shutil.copytree(REPOSITORY, copy, ignore=shutil.ignore_patterns("model.pt", "__pycache__"))
    for name in NETWORKS:
        (copy / name).write_text("old")
    return copy


def contents(folder: Path) -> dict[str, bytes]:
    """Of each file its bytes, but of those that Python makes where a server or another test imports a model."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.parent.name != "__pycache__")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_complete_copy(tmp_path: Path, own: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    tracked, target = contents(REPOSITORY), tmp_path / "new" / "repository"
    assert main([*own, "--output", str(target)]) == 0
    assert set(contents(REPOSITORY)) - set(contents(target)) <= set(NETWORKS)
    assert contents(REPOSITORY) == tracked
    assert read_working_point(target) == POINT
    said = capsys.readouterr().out
    assert f"exatrkx serve --model-repository {target}" in said
    assert "frnn/config.pbtxt, applyfilter/config.pbtxt, wcc/config.pbtxt, exatrkx_custom/config.pbtxt" in said
    assert list(target.parent.iterdir()) == [target], "nothing is left beside it"
    assert target.stat().st_mode == REPOSITORY.stat().st_mode
    found = Pipeline.from_torchscript(
        target / NETWORKS[0], target / NETWORKS[1], target / NETWORKS[2], read_working_point(target)
    )
    near = torch.tensor([[0.5, 0.0, 0.0], [0.51, 0.0, 0.0], [0.52, 0.0, 0.0], [0.9, 0.0, 0.0]])
    assert found(near).labels.tolist() == [0, 0, 0, -1]


def test_a_copy_takes_nobodys_place(tmp_path: Path, own: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").mkdir()
    assert main([*own, "--output", str(tmp_path / "mine")]) == 1
    assert "mine: is there already" in capsys.readouterr().err
    assert list((tmp_path / "mine").iterdir()) == []


def test_rewritten_cuts_are_told(repository: Path, own: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*own, "--repository", str(repository)]) == 0
    assert f"wcc/config.pbtxt, exatrkx_custom/config.pbtxt of {repository} are rewritten" in capsys.readouterr().out
    assert read_working_point(repository) == POINT
    assert all(contents(repository)[name] != b"old" for name in NETWORKS)
    assert main([*own, "--repository", str(repository)]) == 0
    assert "cuts:" not in capsys.readouterr().out, "they are the same"


def test_a_refusal_leaves_everything_as_it_was(
    tmp_path: Path, repository: Path, own: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(repository)
    bad = ["--gnn", f"{tmp_path / 'own_networks.py'}:Probability", "--repository", str(repository)]
    assert main([*own, *bad]) == 1
    assert "logits" in capsys.readouterr().err
    assert contents(repository) == before
    assert main([*own, *bad, "--output", str(tmp_path / "copy")]) == 1
    assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == {
        "own_networks.py",
        "point.json",
        "repository",
    }


def test_a_configuration_that_cannot_be_edited(
    repository: Path, own: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = repository / "wcc" / "config.pbtxt"
    path.write_text(path.read_text().replace('"gnn_cut"', '"cut"'))
    before = contents(repository)
    assert main([*own, "--repository", str(repository)]) == 1
    assert "wcc/config.pbtxt: no parameter gnn_cut" in capsys.readouterr().err
    assert contents(repository) == before


def test_a_file_that_cannot_be_written(repository: Path, own: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(repository / "gnn" / "1")
    before = contents(repository)
    assert main([*own, "--repository", str(repository)]) == 1
    assert "gnn" in capsys.readouterr().err
    assert contents(repository) == before


def test_networks_that_do_not_belong_together_are_told(
    tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "embed.safetensors").write_bytes(network_bytes("embed", {}, Embedding()))
    (tmp_path / "filter.safetensors").write_bytes(network_bytes("filter", {}, EdgeFilter(), {"embed": "0" * 64}))
    (tmp_path / "gnn.safetensors").write_bytes(network_bytes("gnn", {"rounds": 1}, TripletNetwork(rounds=1)))
    (tmp_path / "working_point.json").write_text(replace(WorkingPoint.load(), embedding="").to_json())
    assert main(["--weights", str(tmp_path), "--repository", str(repository)]) == 0
    said = capsys.readouterr()
    for kind in KINDS:
        digest = hash_tensors(load_file(tmp_path / f"{kind}.safetensors"))
        assert f'"{digest}"' in (repository / kind / "config.pbtxt").read_text()
        assert f'"{digest}"' in (repository / "exatrkx_custom" / "config.pbtxt").read_text()
    assert "trace_models: warning: " in said.err
    assert "filter.safetensors was not trained with the embed.safetensors beside it" in said.err
    assert "cuts:" not in said.out
    assert json.loads((tmp_path / "working_point.json").read_text())["radius"] == read_working_point(repository).radius


FIVE: Final = """
import torch
from torch import nn

class Embedding(nn.Module):
    def __init__(self, columns=5):
        super().__init__()
        torch.manual_seed(1)
        self.layer = nn.Linear(columns, 2)

    def forward(self, features):
        return self.layer(features)

def of_twelve():
    return Embedding(12)
"""


def test_networks_that_take_more_than_the_position(
    tmp_path: Path, own: list[str], repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their number is the network's; which columns they are has to be said."""
    (tmp_path / "five.py").write_text(FIVE)
    embed = ["--embed", f"{tmp_path / 'five.py'}:Embedding", "--random-weights", "--radius", "0.1"]
    before = contents(repository)
    for named, columns in (([], 3), (["--extra-features", "charge/100"], 4)):
        assert main([*own, *embed, *named, "--repository", str(repository)]) == 1
        told = (
            f"embed: the network takes 5 columns of FEATURES, and {columns} are named, the position's three among them"
        )
        assert told in capsys.readouterr().err
    twelve = [*own, "--embed", f"{tmp_path / 'five.py'}:of_twelve", "--random-weights"]
    assert main([*twelve, "--extra-features", "a,b", "--repository", str(repository)]) == 1
    assert "embed: the network takes 12 columns of FEATURES, and 5 are named" in capsys.readouterr().err
    assert main([*own, *embed, "--extra-features", "a/x", "--repository", str(repository)]) == 1
    assert "extra_features: expected NAME or NAME/SCALE with commas between, found 'a/x'" in capsys.readouterr().err
    assert contents(repository) == before
    assert main([*own, *embed, "--extra-features", "charge/100,count", "--repository", str(repository)]) == 0
    assert "with zeros for charge, count" in capsys.readouterr().out
    point = read_working_point(repository)
    assert (point.extra_features, point.num_features) == ("charge/100,count", 5)
    changed = {name.partition("/")[0] for name, text in contents(repository).items() if text != before[name]}
    assert changed == {*KINDS, "frnn", "applyfilter", "wcc", "exatrkx_ensemble", "exatrkx_custom"}
    for model in (*KINDS, "wcc", "exatrkx_ensemble", "exatrkx_custom"):
        text = (repository / model / "config.pbtxt").read_text()
        assert re.search(r'"(INPUT__0|FEATURES)"  data_type: TYPE_FP32  dims: \[ -1, 5 \]', text), model
        assert re.search(r"dims: \[ (-1|\d+), 3 \]", text) is None, model
        assert ("extra_features" in text) == (model.startswith("exatrkx"))
