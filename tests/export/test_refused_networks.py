"""Networks that the export must not be fooled by: each is refused in one line, and the repository stays as it was."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import torch
import unsound_networks
from tiny_networks import FILTER_LENGTH, GNN_LENGTH, TinyEdges, save_scripted
from torch import nn

from exatrkx.events.event import features
from exatrkx.events.readers import read_events
from exatrkx.networks.storage import KINDS, hash_tensors, hash_weights, load_network, network_bytes
from exatrkx.networks.torchscript import load_torchscript, probe, to_bytes
from exatrkx.pipeline import Pipeline
from exatrkx.project_files import project_files
from exatrkx.serving.export import main
from exatrkx.serving.model_config import edited_configs, read_working_point
from exatrkx.working_point import WEIGHTS_DIR, WorkingPoint

SOURCE: Final = unsound_networks.__name__


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A model repository with networks of old."""
    copy = tmp_path / "repository"
    shutil.copytree(project_files().model_repository, copy, ignore=shutil.ignore_patterns("model.pt", "__pycache__"))
    for kind in ("embed", "filter", "gnn"):
        (copy / kind / "1" / "model.pt").write_text("old")
    return copy


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(repository: Path, capsys: pytest.CaptureFixture[str], *options: str, warnings: int = 0) -> str:
    """The one line of a refusal, after which nothing has changed; before it so many of warnings."""
    before = contents(repository)
    assert main(["--repository", str(repository), *options]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    lines = rf"(trace_models: warning: [^\n]+\n){{{warnings}}}trace_models: (?!warning)[^\n]+\n"
    assert re.fullmatch(lines, said.err), said.err
    assert contents(repository) == before
    return said.err


UNSOUND: Final = {
    "always_dropout": "draws random numbers, as dropout does in training mode",
    "always_batch_norm": r"changes its own last\.\w+ as it answers, as batch normalisation does",
    "Noisy": "draws random numbers",
    "Counting": "answers differently when it is asked again",
    "InPlace": "changes its input INPUT__0 in place",
    "Clamping": "changes its input INPUT__0 in place",
    "TurnsEdges": "changes its input INPUT__1 in place",
    "ByPlace": "depends on the order of the edges",
    "Probabilities": "--scores probabilities turns them, --scores logits takes them",
    "ProbabilityColumn": "--scores probabilities turns them, --scores logits takes them",
    "Foreign": f"it uses {unsound_networks.OPERATOR}, an operator of a library beyond PyTorch",
    "ForeignInABranch": f"it uses {unsound_networks.OPERATOR}, an operator of a library beyond PyTorch",
    "Fixed": r"must have shape \[300\], a score for each edge; found \[120\]",
}


@pytest.mark.parametrize(("kind", "factory"), [("filter", "InPlace"), *(("gnn", factory) for factory in UNSOUND)])
def test_an_edge_network_of_a_factory(
    repository: Path, capsys: pytest.CaptureFixture[str], kind: str, factory: str
) -> None:
    said = refused(repository, capsys, f"--{kind}", f"{SOURCE}:{factory}")
    assert re.search(f"{kind}: .*{UNSOUND[factory]}", said)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # batch normalisation asks for the size of its batch
@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (nn.Dropout(0.5), "draws random numbers"),
        (nn.BatchNorm1d(8), "changes its own last."),
        (unsound_networks.AlwaysDropout(), "draws random numbers"),
    ],
)
def test_torchscript_traced_in_training_mode(
    repository: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, network: nn.Module, reason: str
) -> None:
    traced = torch.jit.trace(unsound_networks.Layers(network).train(), probe(40, 120), check_trace=False)  # type: ignore[no-untyped-call]
    (tmp_path / "gnn.pt").write_bytes(to_bytes(traced))
    assert f"gnn: the network {reason}" in refused(repository, capsys, "--gnn", str(tmp_path / "gnn.pt"))


@pytest.mark.parametrize("factory", ["InPlace", "ByPlace", "Probabilities", "Noisy"])
def test_torchscript(repository: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, factory: str) -> None:
    traced = torch.jit.trace(getattr(unsound_networks, factory)(), probe(40, 120), check_trace=False)  # type: ignore[no-untyped-call]
    (tmp_path / "gnn.pt").write_bytes(to_bytes(traced))
    assert re.search(f"gnn: .*{UNSOUND[factory]}", refused(repository, capsys, "--gnn", str(tmp_path / "gnn.pt")))


def test_torchscript_with_an_operator_that_this_process_has_not(repository: Path, tmp_path: Path) -> None:
    traced = torch.jit.trace(unsound_networks.Foreign(), probe(40, 120), check_trace=False)  # type: ignore[no-untyped-call]
    (tmp_path / "gnn.pt").write_bytes(to_bytes(traced))
    before = contents(repository)
    command = [sys.executable, "-m", "exatrkx", "export", "--repository", str(repository), "--gnn", "gnn.pt"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    reason = f"it uses {unsound_networks.OPERATOR}, an operator of a library beyond PyTorch"
    assert re.fullmatch(rf"exatrkx export: gnn\.pt: .*{reason}.*index_add[^\n]*\n", done.stderr)
    assert contents(repository) == before


@pytest.mark.parametrize("factory", ["dropout", "batch_norm"])
def test_layers_that_eval_turns_off_are_served(
    repository: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, factory: str
) -> None:
    torch.save(getattr(unsound_networks, factory)().state_dict(), tmp_path / "gnn.ckpt")
    options = ["--gnn", f"{SOURCE}:{factory}", "--gnn-checkpoint", str(tmp_path / "gnn.ckpt")]
    assert main(["--repository", str(repository), *options]) == 0
    served = load_torchscript(repository / "gnn" / "1" / "model.pt")
    expected = unsound_networks.Layers(nn.Identity()) if factory == "dropout" else unsound_networks.batch_norm().eval()
    torch.testing.assert_close(served(*probe(9, 7)), expected(*probe(9, 7)))
    assert "gnn" in capsys.readouterr().out


def test_an_embedding_by_place(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(repository, capsys, "--embed", f"{SOURCE}:PlaceEmbedding", "--radius", "0.1")
    assert "embed: the answer depends on the order of the spacepoints" in said


@pytest.mark.parametrize("factory", ["Probabilities", "ProbabilityColumn"])
def test_probabilities_become_the_logits_that_they_were(
    repository: Path, capsys: pytest.CaptureFixture[str], factory: str
) -> None:
    """TinyEdges' answer is known without the network; a tenth of it is far from where FP32 knows no probabilities."""
    own = ["--repository", str(repository), "--gnn", f"{SOURCE}:{factory}", "--scores"]
    assert main([*own, "probabilities"]) == 0
    features, edges = probe(50, 90)
    expected = (TinyEdges(GNN_LENGTH)(features, edges) / 10.0).clamp(-16.1, 16.1)
    served = load_torchscript(repository / "gnn" / "1" / "model.pt")
    torch.testing.assert_close(served(features, edges), expected, rtol=1e-3, atol=1e-2)
    assert re.search("gnn .* largest difference to the eager network", capsys.readouterr().out)
    assert main([*own, "logits"]) == 0
    served = load_torchscript(repository / "gnn" / "1" / "model.pt")
    torch.testing.assert_close(served(features, edges), expected.sigmoid(), rtol=1e-3, atol=1e-6)


def test_logits_are_not_turned_with_the_probabilities_beside_them(
    repository: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    save_scripted(TinyEdges(FILTER_LENGTH), tmp_path / "filter.pt")
    own = ["--filter", str(tmp_path / "filter.pt"), "--gnn", f"{SOURCE}:Probabilities", "--scores", "probabilities"]
    assert main(["--repository", str(repository), *own]) == 0
    served = load_torchscript(repository / "filter" / "1" / "model.pt")
    torch.testing.assert_close(served(*probe(9, 7)), TinyEdges(FILTER_LENGTH)(*probe(9, 7)))
    capsys.readouterr()
    said = refused(repository, capsys, "--filter", str(tmp_path / "filter.pt"), "--scores", "probabilities")
    assert "--scores probabilities: those of filter do not all lie in [0, 1]" in said


@pytest.mark.parametrize(
    ("factory", "tensor"),
    [("random_embedding", "weight"), ("seeded_embedding", "weight"), ("half_loaded", "1.weight")],
)
def test_random_weights(repository: Path, capsys: pytest.CaptureFixture[str], factory: str, tensor: str) -> None:
    own = ["--embed", f"{SOURCE}:{factory}", "--radius", "0.01"]
    said = refused(repository, capsys, *own)
    assert f"{SOURCE}:{factory}: {tensor} is random: no weights were loaded" in said
    assert main(["--repository", str(repository), *own, "--random-weights"]) == 0


def test_weights_that_the_factory_has_loaded_are_taken(repository: Path) -> None:
    assert main(["--repository", str(repository), "--embed", f"{SOURCE}:wide_embedding", "--radius", "0.001"]) == 0


def test_a_radius_of_another_embedding(repository: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    own = ["--embed", f"{SOURCE}:wide_embedding"]
    old = r"its radius 0\.85 was chosen for another embedding than "
    assert re.search(f"{old}{SOURCE}:wide_embedding", refused(repository, capsys, *own))
    committed = ["--working-point", str(WEIGHTS_DIR / "working_point.json")]
    assert re.search(old, refused(repository, capsys, *own, *committed))
    assert main(["--repository", str(repository), *own, "--radius", "0.002"]) == 0
    assert read_working_point(repository) == replace(WorkingPoint.load(), radius=0.002)
    # With a working point of its own, by its name or by the weights' hash.
    point = replace(WorkingPoint.load(), radius=0.003, embedding="")
    for embedding in ("", hash_tensors(unsound_networks.wide_embedding().state_dict())):
        (tmp_path / "point.json").write_text(replace(point, embedding=embedding).to_json())
        assert main(["--repository", str(repository), *own, "--working-point", str(tmp_path / "point.json")]) == 0
        assert read_working_point(repository) == point
    (tmp_path / "point.json").write_text(replace(point, embedding="0" * 64).to_json())
    capsys.readouterr()
    assert "another embedding" in refused(repository, capsys, *own, "--working-point", str(tmp_path / "point.json"))


def test_a_folder_whose_embedding_was_replaced(
    repository: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for path in WEIGHTS_DIR.glob("*.*"):
        if path.suffix in (".safetensors", ".json"):
            shutil.copy(path, tmp_path)
    committed = json.loads((tmp_path / "working_point.json").read_text())["embedding"]
    assert committed == hash_tensors(load_network(WEIGHTS_DIR / "embed.safetensors").state_dict())
    network = load_network(WEIGHTS_DIR / "embed.safetensors")
    with torch.no_grad():
        next(network.parameters())[0, 0] += 1e-6
    (tmp_path / "embed.safetensors").write_bytes(
        network_bytes("embed", {"hidden": 128, "layers": 4, "dimension": 8}, network)
    )
    said = refused(repository, capsys, "--weights", str(tmp_path), warnings=2)  # of the networks that learnt after it
    assert "its radius 0.85 was chosen for another embedding" in said
    with (
        pytest.warns(UserWarning, match="gnn.safetensors was not trained with the embed.safetensors beside it"),
        pytest.warns(UserWarning, match="filter.safetensors was not trained with the embed.safetensors beside it"),
        pytest.warns(UserWarning, match="its radius was chosen for another embedding than .*embed.safetensors"),
    ):
        Pipeline.from_weights(tmp_path)


def test_the_committed_configurations_have_the_committed_weights() -> None:
    weights = {kind: hash_weights(load_network(WEIGHTS_DIR / f"{kind}.safetensors")) for kind in KINDS}
    assert edited_configs(project_files().model_repository, WorkingPoint.load(), weights) == {}


def test_weights_are_told_apart_whatever_form_a_network_has() -> None:
    """Freezing makes constants of them."""
    networks = [unsound_networks.random_embedding() for _ in range(2)]
    scripts = [torch.jit.script(network.eval()) for network in networks]
    frozen = [torch.jit.freeze(script) for script in scripts]
    hashes = [[hash_weights(one) for one in form] for form in (networks, scripts, frozen)]
    assert all(first != second for first, second in hashes)
    assert hashes[0] == hashes[1]
    assert hash_weights(frozen[0]) == hash_weights(torch.jit.freeze(scripts[0]))


def test_a_difference_is_told_only_where_it_was_measured(
    repository: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    save_scripted(TinyEdges(GNN_LENGTH), tmp_path / "gnn.pt")
    assert main(["--repository", str(repository), "--gnn", str(tmp_path / "gnn.pt")]) == 0
    lines = dict(zip(("embed", "filter", "gnn"), capsys.readouterr().out.splitlines(), strict=False))
    measured = {kind: "largest difference to the eager network" in line for kind, line in lines.items()}
    assert measured == {"embed": True, "filter": True, "gnn": False}
    assert lines["gnn"].endswith("TorchScript as it came, not compared with an eager network")


def test_the_chain_is_tried_and_what_finds_nothing_is_warned_of(
    repository: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["--repository", str(repository)]) == 0
    said = capsys.readouterr()
    found = Pipeline.from_weights()(features(next(iter(read_events(project_files().events)))))
    edges, kept, tracks = found.neighbour_edges.shape[1], found.edge_index.shape[1], found.labels.max() + 1
    assert min(edges, kept, tracks) > 100
    counts = f"{edges:,} edges, {kept:,} after the filter, {tracks} tracks"
    assert f"chain:   bundled event 0 of 1,589 spacepoints: {counts}\n" in said.out
    assert said.err == ""
    (tmp_path / "point.json").write_text(replace(WorkingPoint.load(), max_edges=1000).to_json())
    nothing = ["--embed", f"{SOURCE}:wide_embedding", "--radius", "1e-9"]
    too_much = ["--working-point", str(tmp_path / "point.json")]
    for options, lost in (
        (nothing, "has no track: the radius leaves no edge"),
        (too_much, "more than max_edges = 1000"),
    ):
        assert main(["--repository", str(repository), *options]) == 0
        assert re.fullmatch(rf"trace_models: warning: bundled event 0 of [^\n]*{lost}[^\n]*\n", capsys.readouterr().err)


def test_a_chain_that_fails_on_a_real_event_is_refused(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(repository, capsys, "--gnn", f"{SOURCE}:OnlyNearTheCentre")
    assert "bundled event 0 of 1,589 spacepoints fails" in said


def test_a_module_that_does_not_import(repository: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import a_module_that_nobody_has\n")
    said = refused(repository, capsys, "--gnn", f"{tmp_path / 'broken.py'}:build")
    assert "broken.py cannot be imported: No module named 'a_module_that_nobody_has'" in said
