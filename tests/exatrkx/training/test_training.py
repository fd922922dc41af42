"""Training: losses that fall, runs that resume as if never interrupted, a working point that keeps what it should."""

from __future__ import annotations

import inspect
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from exatrkx.errors import ContractError
from exatrkx.events.parquet import read_events
from exatrkx.events.parquet_writer import write_events
from exatrkx.networks.mlp import EdgeFilter, Embedding
from exatrkx.networks.storage import KINDS, load_network, network_bytes, read_metadata
from exatrkx.pipeline import Pipeline
from exatrkx.training.__main__ import main
from exatrkx.training.choose import choose_filter_cut, choose_radius
from exatrkx.training.events import TrainingEvent, load_training_events, sectors
from exatrkx.training.given_weights import given_network
from exatrkx.training.graphs import NeighbourGraph
from exatrkx.training.loop import fit, read_checkpoint
from exatrkx.training.recipes import RECIPES, Goals, Schedule
from exatrkx.training.tasks import EdgeTask, EmbeddingTask
from exatrkx.validation import validate
from exatrkx.working_point import WEIGHTS_DIR, WorkingPoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

pytestmark = pytest.mark.slow

EVENTS = Path(__file__).parents[3] / "data" / "events" / "ttbar_mu0.parquet"
SCHEDULE = Schedule(epochs=2, batch=2, learning_rate=3e-3, seed=5)


@pytest.fixture(scope="module")
def samples() -> list[TrainingEvent]:
    return load_training_events([EVENTS], limit=6)


def new_embedding() -> Embedding:
    torch.manual_seed(5)
    return Embedding(hidden=32, layers=2, dimension=4)


def test_a_sample_keeps_the_truth_of_its_event(samples: list[TrainingEvent]) -> None:
    event = samples[0]
    gap = event.gap(event.true_edges)
    assert (gap == 1).float().mean() > 0.99  # a spacepoint of two particles is taken to be the first one's
    assert (event.edge_pt(event.true_edges) > 0).all()
    strangers = torch.stack((torch.arange(1, len(event)), torch.zeros(len(event) - 1, dtype=torch.int64)))
    assert (event.gap(strangers) == 0).float().mean() > 0.9


def test_sectors_are_the_event_cut_in_phi(samples: list[TrainingEvent]) -> None:
    event = samples[0]
    parts = sectors(event, len(event) // 4)
    assert len(parts) == 5
    assert sorted(torch.cat([part.features for part in parts]).tolist()) == sorted(event.features.tolist())
    for number, part in enumerate(parts):
        assert ((part.features[:, 1] + 1.0) * 2.5).clamp(0.0, 4.99).long().eq(number).all()
    places = {tuple(row): place for place, row in enumerate(event.features.tolist())}
    kept = {
        tuple(places[tuple(part.features[end].tolist())] for end in edge)
        for part in parts
        for edge in part.true_edges.T.tolist()
    }
    which = ((event.features[:, 1] + 1.0) * 2.5).long().clamp(0, 4)
    inside = event.true_edges[:, which[event.true_edges[0]] == which[event.true_edges[1]]]
    assert kept == {tuple(edge) for edge in inside.T.tolist()}


def test_a_small_event_is_one_sector(samples: list[TrainingEvent]) -> None:
    assert sectors(samples[0], len(samples[0])) == [samples[0]]


def test_the_embedding_learns(samples: list[TrainingEvent], tmp_path: Path) -> None:
    network = new_embedding()
    history = fit(EmbeddingTask(network), samples[:4], samples[4:], replace(SCHEDULE, epochs=40), tmp_path / "a")
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]
    assert 0.0 < history[-1]["efficiency@0.8"] <= 1.0


def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(
    samples: list[TrainingEvent], tmp_path: Path
) -> None:
    straight = new_embedding()
    fit(EmbeddingTask(straight), samples[:4], samples[4:], SCHEDULE, tmp_path / "straight")

    class PowerCutError(Exception):
        pass

    class Interrupted(EmbeddingTask):
        evaluations = 0

        def evaluate(self, events: Sequence[TrainingEvent]) -> dict[str, float]:
            self.evaluations += 1
            if self.evaluations == 2:
                raise PowerCutError
            return super().evaluate(events)

    with pytest.raises(PowerCutError):
        fit(Interrupted(new_embedding()), samples[:4], samples[4:], SCHEDULE, tmp_path / "resumed")
    torch.manual_seed(99)  # nothing may hang on the global generator
    resumed = Embedding(hidden=32, layers=2, dimension=4)
    history = fit(EmbeddingTask(resumed), samples[:4], samples[4:], SCHEDULE, tmp_path / "resumed")
    assert len(history) == 2
    for name, weight in straight.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


def test_a_checkpoint_of_another_schedule_is_left_alone(samples: list[TrainingEvent], tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    fit(EmbeddingTask(new_embedding()), samples[:2], samples[4:], replace(SCHEDULE, epochs=1), path)
    history = fit(EmbeddingTask(new_embedding()), samples[:2], samples[4:], replace(SCHEDULE, seed=6, epochs=1), path)
    assert len(history) == 1


def test_chosen_numbers_keep_what_was_asked(samples: list[TrainingEvent]) -> None:
    embed = new_embedding()
    goals = Goals(radius=0.9, filter_cut=0.8, max_neighbors=1000)
    radius = choose_radius(embed, samples, goals)
    graph = NeighbourGraph(embed, radius, goals.max_neighbors)
    edge_filter = EdgeFilter(hidden=8, layers=2)
    cut = choose_filter_cut(edge_filter, graph, samples, goals)
    figures = EmbeddingTask(embed).evaluate(samples)
    assert figures["edges_per_spacepoint@0.8"] >= 0
    scores = EdgeTask(edge_filter, graph).evaluate(samples)
    assert set(scores) >= {"efficiency@0.5", "purity@0.5"}
    assert 0.0 < cut < 1.0
    wanted = found = 0
    for event in samples:
        target = event.true_edges[:, event.edge_pt(event.true_edges) > 1.0]
        ends = embed(event.features)[target]
        wanted += target.shape[1]
        found += int(((ends[0] - ends[1]).norm(dim=1) < radius).sum())
    assert abs(found / wanted - 0.9) < 0.01


def test_the_command_trains_all_three_and_the_pipeline_takes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, valid = tmp_path / "weights", tmp_path / "valid.parquet"
    write_events(valid, read_events(EVENTS, [3]))
    arguments = ["all", "--train", str(EVENTS), "--valid", str(valid), "--output", str(output), "--device", "cpu"]
    assert main([*arguments, "--recipe", "quick", "--limit", "6"]) == 0
    assert "working point" in capsys.readouterr().out
    for kind, epochs in (("embed", 2), ("filter", 1), ("gnn", 2)):
        load_network(output / f"{kind}.safetensors")
        log = [json.loads(line) for line in (output / f"{kind}.jsonl").read_text().splitlines()]
        assert [figures["epoch"] for figures in log] == list(range(epochs))
        assert all(figures["seconds"] > 0 for figures in log)
        kept = json.loads((output / f"{kind}.safetensors.settings.json").read_text())
        assert kept["run"] == read_metadata(output / f"{kind}.safetensors")["run"]
        assert (kept["schedule"]["epochs"], kept["recipe"], kept["valid"]) == (epochs, "quick", [str(valid)])
    chosen = WorkingPoint.load(output / "working_point.json")
    choose = ["choose", "--valid", str(valid), "--output", str(output), "--device", "cpu", "--recipe", "quick"]
    assert main(choose) == 0
    assert WorkingPoint.load(output / "working_point.json") == chosen
    assert main([*choose, "--keep-radius", "0.9", "--keep-filter", "0.9"]) == 0
    tighter = WorkingPoint.load(output / "working_point.json")
    assert tighter.radius < chosen.radius
    assert tighter.filter_cut > chosen.filter_cut
    (output / "working_point.json").write_text(chosen.to_json())
    result = validate(Pipeline.from_weights(output), read_events(EVENTS, [0, 1]))
    assert result.events == 2
    assert result.stages["neighbours"].count >= result.stages["filter"].count >= result.stages["GNN"].count
    assert result.stages["neighbours"].edges.efficiency.value > 0.5


def test_training_starts_from_the_weights_that_it_is_given(tmp_path: Path) -> None:
    """One event is less than a batch: no step is taken, and what comes out is what went in."""
    arguments = ["embed", "--train", str(EVENTS), "--limit", "1", "--valid", str(EVENTS), "--recipe", "quick"]
    assert main([*arguments, "--start", str(WEIGHTS_DIR), "--output", str(tmp_path), "--device", "cpu"]) == 0
    start, end = (load_network(folder / "embed.safetensors").state_dict() for folder in (WEIGHTS_DIR, tmp_path))
    for name, weight in start.items():
        assert torch.equal(weight, end[name]), name


def folder_of(network: Embedding, sizes: dict[str, int], folder: Path) -> Path:
    folder.mkdir()
    (folder / "embed.safetensors").write_bytes(network_bytes("embed", sizes, network))
    return folder


def test_the_mean_with_other_weights_is_kept(tmp_path: Path) -> None:
    sizes = RECIPES["quick"].embed_sizes
    other = folder_of(Embedding(**sizes), sizes, tmp_path / "other")
    arguments = ["embed", "--train", str(EVENTS), "--limit", "1", "--valid", str(EVENTS), "--recipe", "quick"]
    given = ["--start", str(WEIGHTS_DIR), "--mean-with", str(other)]
    assert main([*arguments, *given, "--output", str(tmp_path / "mean"), "--device", "cpu"]) == 0
    folders = (WEIGHTS_DIR, other, tmp_path / "mean")
    start, added, end = (load_network(folder / "embed.safetensors").state_dict() for folder in folders)
    for name, weight in start.items():
        torch.testing.assert_close(end[name], (weight + added[name]) / 2, rtol=1e-6, atol=1e-7)


def test_weights_whose_file_lacks_a_size_of_later(tmp_path: Path) -> None:
    sizes = RECIPES["quick"].embed_sizes
    folder = folder_of(Embedding(**sizes), {name: sizes[name] for name in sizes if name != "circles"}, tmp_path / "old")
    assert isinstance(given_network(folder, "embed", sizes), Embedding)
    with pytest.raises(ContractError, match=r"'circles': 1\}, found one of .*'circles': 2\}"):
        given_network(folder, "embed", {**sizes, "circles": 1})


@pytest.mark.parametrize("option", ["--start", "--mean-with"])
def test_weights_of_other_sizes_are_refused(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {"hidden": 16, "layers": 2, "dimension": 4, "circles": 1}
    small = folder_of(Embedding(**sizes), sizes, tmp_path / "small")
    arguments = ["embed", "--train", str(EVENTS), "--limit", "1", "--valid", str(EVENTS), "--recipe", "quick"]
    assert (
        main([*arguments, option, str(small), "--output", str(tmp_path / "new"), "--device", "cpu"])
        == ContractError.exit_code
    )
    assert f"expected a network of {RECIPES['quick'].embed_sizes}, found one of {sizes}" in capsys.readouterr().err


def test_a_training_by_the_clock_ends_in_time(samples: list[TrainingEvent], tmp_path: Path) -> None:
    """The clock here goes on by a second whenever it is looked at."""
    ticks = itertools.count()
    schedule = replace(SCHEDULE, minutes=1.0, epochs=1, batch=1)
    last_step = 0

    class Watched(EmbeddingTask):
        def losses(self, event: TrainingEvent, parts: int) -> Iterator[Tensor]:
            nonlocal last_step
            last_step = next(ticks)
            return super().losses(event, parts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exatrkx.training.loop.time.monotonic", lambda: float(next(ticks)))
        history = fit(Watched(new_embedding()), samples[:4], samples[4:5], schedule, tmp_path / "clock")
        assert len(history) > 1, "as many epochs as there is time for"
        assert 50 < last_step <= 61
        resumed = fit(Watched(new_embedding()), samples[:4], samples[4:5], schedule, tmp_path / "clock")
    assert resumed[: len(history)] == history
    assert len(resumed) <= len(history) + 1, "hardly any time is left"
    state = read_checkpoint(tmp_path / "clock")
    (group,) = state["optimizer"]["param_groups"]
    assert group["lr"] < 0.01 * SCHEDULE.learning_rate, "the schedule's end was reached"


def test_parts_of_an_event_make_up_its_loss(samples: list[TrainingEvent]) -> None:
    graph = NeighbourGraph(new_embedding(), 1.0, 100)
    task = EdgeTask(EdgeFilter(hidden=8, layers=2), graph)
    (whole,) = task.losses(samples[0], 1)
    parts = list(task.losses(samples[0], 7))
    assert len(parts) == 7
    assert torch.stack(parts).mean().item() == pytest.approx(whole.item(), rel=1e-5)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_recipe_names_every_size(name: str, kind: str) -> None:
    """They are kept with the weights, which must not change with a default of the code."""
    assert set(getattr(RECIPES[name], f"{kind}_sizes")) == set(inspect.signature(KINDS[kind]).parameters)


def test_training_needs_events_to_learn_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["embed", "--valid", str(EVENTS), "--output", str(tmp_path)])
    assert "--train" in capsys.readouterr().err


def test_there_must_be_events_to_choose_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty.parquet"
    write_events(empty, [])
    arguments = ["embed", "--train", str(EVENTS), "--valid", str(EVENTS), str(empty), "--output", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert "empty.parquet: has no events to choose on" in capsys.readouterr().err


def test_a_missing_file_of_events_ends_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    absent = str(tmp_path / "absent.parquet")
    assert main(["embed", "--train", absent, "--valid", absent, "--output", str(tmp_path)]) == 2
    assert "absent.parquet" in capsys.readouterr().err
