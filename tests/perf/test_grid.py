"""Which points are measured, in which order, and on which copies of the model repository."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from perf_results import BACKENDS

from exatrkx.contract import STEPS
from exatrkx.errors import ContractError
from exatrkx.serving.model_config import parse_config
from exatrkx_perf import MODEL_REPOSITORY
from exatrkx_perf.errors import PerfError
from exatrkx_perf.points import (
    DIRECT,
    MODELS,
    Configuration,
    Grid,
    full_plan,
    group,
    interleaved,
    pileup_plan,
    quick_plan,
)
from exatrkx_perf.servers import copy_with_instances, set_instances
from exatrkx_perf.sweeps import window_of
from exatrkx_server.backends import models_backends


def config_of(path: Path) -> Any:
    return parse_config(path.read_text(), path)


def test_a_grid_is_every_combination_once() -> None:
    grid = Grid(
        models=["exatrkx_custom", "exatrkx_ensemble"],
        configurations=[Configuration(instances=1, threads=2), Configuration(instances=3)],
        concurrencies=(1, 8),
        protocols=("grpc", "http"),
        modes=("sync", "async"),
        shared_memories=("none", "system"),
    )
    points = grid.points(BACKENDS, "tt")
    assert len(points) == len(set(points)) == 2 * 2 * 2 * 2 * 2 * 2
    assert {point.configuration for point in points} == set(grid.configurations)
    assert {point.sample for point in points} == {"tt"}


def test_the_direct_pipeline_has_workers_and_no_protocol() -> None:
    grid = Grid(
        models=[DIRECT],
        configurations=[Configuration(instances=n) for n in (1, 2)],
        concurrencies=(1, 4),
        protocols=("grpc", "http"),
        direct_modes=("processes", "threads"),
    )
    points = grid.points(BACKENDS, "tt")
    assert {(p.mode, p.concurrency, p.instances) for p in points} == {
        ("processes", 1, 1),
        ("processes", 4, 4),
        ("threads", 1, 1),
        ("threads", 4, 1),
    }
    assert len(points) == 4
    assert {point.protocol for point in points} == {"none"}


def test_models_are_measured_in_turn_and_servers_started_once() -> None:
    points = [point for grid in quick_plan(2, MODELS) for point in grid.points(BACKENDS, "tt")]
    order = interleaved(points + points, 3)
    assert Counter(order) == Counter(point.at_repeat(repeat) for point in set(points) for repeat in range(3))
    groups = [key for key, _ in groupby(order, key=group)]
    assert len(groups) == len(set(groups)), "each group of servers is started once"
    for _, members in groupby(order, key=group):
        found = list(members)
        assert [point.repeat for point in found] == sorted(point.repeat for point in found), "repeats are outermost"
        rounds = [list(same) for _, same in groupby(found, key=lambda p: (p.repeat, p.concurrency))]
        assert len(rounds) == len({(p.repeat, p.concurrency) for p in found}), "models are innermost"
        assert all(len({p.model for p in one}) > 1 for one in rounds[:2])


@pytest.mark.parametrize("cores", [1, 2, 64])
def test_the_quick_plan_stays_quick_on_any_machine(cores: int) -> None:
    points = {point for grid in quick_plan(cores, MODELS) for point in grid.points(BACKENDS, "tt")}
    assert len(points) <= 27
    assert {point.model for point in points} == set(MODELS)
    assert max(point.concurrency for point in points) <= 16


def test_the_pileup_plan_has_one_client_and_saturation_of_what_is_served() -> None:
    points = [point for grid in pileup_plan(2, MODELS) for point in grid.points(BACKENDS, "tt")]
    assert {point.model for point in points} == set(MODELS) - {DIRECT}
    assert {(point.instances, point.threads, point.concurrency) for point in points} == {(1, 1, 1), (2, 1, 4)}
    assert len(points) == 6


def test_the_full_plan_has_all_that_is_asked_for() -> None:
    points = {point for grid in full_plan(MODELS) for point in grid.points(BACKENDS, "tt")}
    for model in ("exatrkx_custom", "exatrkx_ensemble"):
        mine = [point for point in points if point.model == model]
        assert {p.concurrency for p in mine} >= {1, 2, 4, 8, 16}
        assert {p.instances for p in mine} == {1, 2, 3, 4, 5}
        assert {p.threads for p in mine} == {1, 2}
        assert {p.way for p in mine} >= {("http", "async", "system"), ("grpc", "sync", "none")}
    assert {p.mode for p in points if p.model == DIRECT} == {"processes", "threads"}


def test_a_copy_has_the_instances_and_nothing_else_is_changed(tmp_path: Path) -> None:
    # Other tests may write networks there, and make Python write what it has compiled.
    passing = ("__pycache__", ".unfinished")
    files = [path for path in MODEL_REPOSITORY.rglob("*.*") if not any(part.endswith(passing) for part in path.parts)]
    before = {path: path.read_bytes() for path in files}
    copy_with_instances(MODEL_REPOSITORY, tmp_path / "copy", 3)
    for path in MODEL_REPOSITORY.glob("*/config.pbtxt"):
        original, copied = config_of(path), config_of(tmp_path / "copy" / path.parent.name / "config.pbtxt")
        if original.platform != "ensemble":
            assert [entry.count for entry in copied.instance_group] == [3]
            set_instances(original, 3)
        assert copied == original
    for path in MODEL_REPOSITORY.glob("*/1/*.py"):
        assert (tmp_path / "copy" / path.relative_to(MODEL_REPOSITORY)).read_text() == path.read_text()
    assert before == {path: path.read_bytes() for path in before}


def test_a_model_without_a_group_gets_one_and_each_of_several_is_set(tmp_path: Path) -> None:
    groups = "instance_group [ { kind: KIND_CPU count: 4 }, { kind: KIND_GPU gpus: [0, 1] } ]"
    for name, text in (("bare", ""), ("two", groups)):
        (tmp_path / "source" / name).mkdir(parents=True)
        (tmp_path / "source" / name / "config.pbtxt").write_text(f'name: "{name}" backend: "python" {text}')
    copy_with_instances(tmp_path / "source", tmp_path / "copy", 2)
    assert [g.count for g in config_of(tmp_path / "copy/bare/config.pbtxt").instance_group] == [2]
    two = config_of(tmp_path / "copy/two/config.pbtxt").instance_group
    assert [(g.count, list(g.gpus)) for g in two] == [(2, []), (2, [0, 1])]


def test_what_cannot_be_copied_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PerfError, match="no model repository"):
        copy_with_instances(tmp_path, tmp_path / "copy", 1)
    with pytest.raises(PerfError, match="at least 1, found 0"):
        copy_with_instances(MODEL_REPOSITORY, tmp_path / "copy", 0)
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.pbtxt").write_text("name: [")
    with pytest.raises(ContractError, match=r"m/config\.pbtxt"):
        copy_with_instances(tmp_path, tmp_path / "copy", 1)


def test_the_backends_of_an_ensemble_are_those_of_its_steps() -> None:
    found = models_backends(MODEL_REPOSITORY, ["exatrkx_ensemble"])
    assert list(found) == [step.name for step in STEPS]
    assert set(found.values()) == {"python", "pytorch"}
    assert models_backends(MODEL_REPOSITORY, ["exatrkx_custom"]) == {"exatrkx_custom": "exatrkx"}


@pytest.mark.parametrize(
    ("events", "concurrency", "rounds", "window"),
    [(20, 1, 1, 20), (20, 1, 3, 60), (20, 16, 1, 60), (2, 4, 1, 12), (2, 4, 9, 18), (1, 1, 1, 3), (5, 4, 1, 15)],
)
def test_a_window_is_whole_rounds_and_fills_the_steps_three_times(
    events: int, concurrency: int, rounds: int, window: int
) -> None:
    assert window_of(events, concurrency, rounds) == window
