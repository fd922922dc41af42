"""Training runs in one folder: known by the contents of their events, kept from each other, and their files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from exatrkx.events.parquet import read_events
from exatrkx.events.parquet_writer import write_events
from exatrkx.networks.mlp import EdgeFilter, Embedding
from exatrkx.networks.storage import mismatches, network_bytes, read_metadata
from exatrkx.pipeline import Pipeline
from exatrkx.training.__main__ import main
from exatrkx.training.events import TrainingEvent, load_training_events
from exatrkx.training.loop import fit, identify_run
from exatrkx.training.recipes import Schedule
from exatrkx.training.tasks import EmbeddingTask
from exatrkx.working_point import WEIGHTS_DIR

pytestmark = pytest.mark.slow

EVENTS = Path(__file__).parents[3] / "data" / "events" / "ttbar_mu0.parquet"
SCHEDULE = Schedule(epochs=2, batch=1, learning_rate=3e-3, seed=5)


@pytest.fixture(scope="module")
def samples() -> list[TrainingEvent]:
    return load_training_events([EVENTS], limit=3)


def embedding() -> Embedding:
    torch.manual_seed(5)
    return Embedding(hidden=16, layers=2, dimension=4)


def files_of_events(folder: Path, *numbers: int) -> list[str]:
    """Files of one event each."""
    paths = [folder / f"{number}.parquet" for number in numbers]
    for path, number in zip(paths, numbers, strict=True):
        write_events(path, read_events(EVENTS, [number]))
    return [str(path) for path in paths]


def arguments(train: str, valid: str, output: Path, *more: str) -> list[str]:
    # Two files of one event: as many as the recipe's batch has.
    given = ["embed", "--train", train, train, "--valid", valid, "--output", str(output), "--recipe", "quick"]
    return [*given, "--device", "cpu", *more]


def test_other_events_of_the_same_number_are_another_run(samples: list[TrainingEvent]) -> None:
    known = identify_run(samples[:1], samples[2:], SCHEDULE)
    assert known == identify_run([replace(samples[0])], samples[2:], SCHEDULE)
    moved = replace(samples[0], features=samples[0].features + 1e-3)
    others = [
        identify_run(samples[1:2], samples[2:], SCHEDULE),
        identify_run([moved], samples[2:], SCHEDULE),
        identify_run(samples[:1], samples[1:2], SCHEDULE),
        identify_run([samples[0], samples[2]], [], SCHEDULE),
        identify_run(samples[:1], samples[2:], replace(SCHEDULE, epochs=3)),
        identify_run(samples[:1], samples[2:], SCHEDULE, {"radius": 1.0}),
    ]
    assert len({known, *others}) == 1 + len(others)


def test_a_checkpoint_on_other_events_is_not_gone_on_with(samples: list[TrainingEvent], tmp_path: Path) -> None:
    networks = [embedding(), embedding()]
    fit(EmbeddingTask(embedding()), samples[:1], samples[2:], SCHEDULE, tmp_path / "used.checkpoint")
    for network, name in zip(networks, ("used", "fresh"), strict=True):
        path = tmp_path / f"{name}.checkpoint"
        history = fit(EmbeddingTask(network), samples[1:2], samples[2:], SCHEDULE, path)
        assert len(history) == SCHEDULE.epochs
    for name, weight in networks[0].state_dict().items():
        assert torch.equal(weight, networks[1].state_dict()[name]), name


def test_what_another_run_has_made_is_kept_until_it_may_be_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, other, valid = files_of_events(tmp_path, 0, 1, 2)
    output = tmp_path / "weights"
    weights = output / "embed.safetensors"
    assert main(arguments(first, valid, output)) == 0
    made = {path: path.read_bytes() for path in output.iterdir()}
    assert "epoch 2 of 2: loss " in capsys.readouterr().out

    assert main(arguments(other, valid, output)) == 1
    error = capsys.readouterr().err
    assert "embed.safetensors is of another run" in error
    assert "--overwrite" in error
    assert main(arguments(first, valid, output)) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in output.iterdir()} == made

    assert main(arguments(other, valid, output, "--overwrite")) == 0
    assert weights.read_bytes() != made[weights]
    assert main(arguments(other, valid, output)) == 0, "it is this run's now"


def test_an_unfinished_run_is_kept_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, other, valid = files_of_events(tmp_path, 0, 1, 2)
    assert main(arguments(first, valid, tmp_path)) == 0
    (tmp_path / "embed.safetensors").unlink()
    assert main(arguments(other, valid, tmp_path)) == 1
    assert "embed.checkpoint is of another run" in capsys.readouterr().err
    assert main(arguments(first, valid, tmp_path)) == 0
    assert "going on after epoch 2" in capsys.readouterr().out
    assert (tmp_path / "embed.safetensors").is_file()


def test_weights_of_other_sources_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (event,) = files_of_events(tmp_path, 0)
    weights = tmp_path / "embed.safetensors"
    weights.write_bytes((WEIGHTS_DIR / "embed.safetensors").read_bytes())
    assert main(arguments(event, event, tmp_path)) == 1
    assert "embed.safetensors is of another run" in capsys.readouterr().err
    assert weights.read_bytes() == (WEIGHTS_DIR / "embed.safetensors").read_bytes()


def test_a_damaged_file_is_kept_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (event,) = files_of_events(tmp_path, 0)
    (tmp_path / "embed.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00nonsense")
    assert main(arguments(event, event, tmp_path)) == 1
    assert "embed.safetensors: no network of this package" in capsys.readouterr().err
    assert b"nonsense" in (tmp_path / "embed.safetensors").read_bytes()


def test_the_log_is_for_machines_and_the_files_are_for_everybody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (event,) = files_of_events(tmp_path, 0)
    assert main(arguments(event, event, tmp_path)) == 0
    log = [json.loads(line) for line in (tmp_path / "embed.jsonl").read_text().splitlines()]
    assert [figures["epoch"] for figures in log] == [0, 1]
    assert all({"loss", "seconds", "efficiency@1.0"} <= set(figures) for figures in log)
    shown = capsys.readouterr()
    assert "{" not in shown.out.replace("working point: {", "")
    assert "epoch 2 of 2: loss " in shown.out
    assert not shown.err  # bars are for terminals
    plain = tmp_path / "plain"
    plain.touch()
    assert len(read_metadata(tmp_path / "embed.safetensors")["run"]) == 64
    for name in ("embed.safetensors", "embed.checkpoint", "embed.jsonl", "working_point.json"):
        assert (tmp_path / name).stat().st_mode == plain.stat().st_mode


def test_networks_that_do_not_belong_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Trained one after the other they do; with another embedding put beside them, all who read them say so."""
    train, valid = files_of_events(tmp_path, 0, 1)
    output = tmp_path / "weights"
    stages = arguments(train, valid, output)
    for stage in ("embed", "filter", "gnn"):
        assert main([stage, *stages[1:]]) == 0
    assert mismatches(output) == []
    assert "warning" not in capsys.readouterr().err
    Pipeline.from_weights(output)  # a warning would be an error

    assert main([*stages, "--seed", "2", "--overwrite"]) == 0
    found = mismatches(output)
    assert [text.partition(" was not trained with the embed.safetensors")[0] for text in found] == [
        str(output / "filter.safetensors"),
        str(output / "gnn.safetensors"),
    ]
    with pytest.warns(UserWarning, match="was not trained with the embed"):
        Pipeline.from_weights(output)
    capsys.readouterr()
    assert main(["choose", *stages[1:]]) == 0
    assert capsys.readouterr().err.count("training: warning: ") == 2
    assert main(["gnn", *stages[1:]]) == 1, "on other graphs it is another run"


def test_what_is_not_known_is_not_judged(tmp_path: Path) -> None:
    assert mismatches(WEIGHTS_DIR) == []
    (tmp_path / "embed.safetensors").write_bytes(network_bytes("embed", {}, Embedding()))
    (tmp_path / "filter.safetensors").write_bytes(network_bytes("filter", {}, EdgeFilter(), {"embed": "0" * 64}))
    assert mismatches(tmp_path, ["filter"]) == []
    assert len(mismatches(tmp_path, ["embed", "filter"])) == 1


@pytest.mark.parametrize("particles", [0, 2])
def test_an_event_stays_on_its_device(particles: int) -> None:
    """On the device `meta`, which computes nothing and refuses to be mixed with any other."""

    def zeros(*shape: int, kind: torch.dtype = torch.int64) -> torch.Tensor:
        return torch.zeros(shape, dtype=kind, device="meta")

    event = TrainingEvent(
        features=zeros(4, 3, kind=torch.float32),
        particle=zeros(4, 2),
        order=zeros(4, 2),
        pt=zeros(particles, kind=torch.float32),
        true_edges=zeros(2, 0),
    )
    for values in (event.edge_pt(zeros(2, 5)), event.gap(zeros(2, 5))):
        assert values.shape == (5,)
        assert values.device.type == "meta"
