"""What the engine asks of a GPU: within bounds, and counted as told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import compiled
import numpy as np
import pytest

from exatrkx_perf import EVENTS, MODEL_REPOSITORY
from exatrkx_perf.engine_budget import STAGES, StageBudget, budget_report, count_engine
from exatrkx_perf.errors import PerfError
from exatrkx_perf.events import read_sample

if TYPE_CHECKING:
    from exatrkx_perf.events import FeatureArray

pytestmark = pytest.mark.slow

A_SORT = 10
"""Kernels that a sort is at most: those of a radix sort's passes."""


@pytest.fixture(scope="module")
def event() -> FeatureArray:
    if not (MODEL_REPOSITORY / "gnn" / "1" / "model.pt").is_file():
        pytest.skip("the trained networks are not exported: make models")
    compiled.build("engine-budget")
    return read_sample([EVENTS], None, (1_473, 1_473)).arrays[0]


def test_a_small_event(event: FeatureArray) -> None:
    found = count_engine(event)
    assert tuple(found) == STAGES
    whole = sum(found.values(), StageBudget())
    assert whole.started + 2 * A_SORT <= 120
    assert whole.waits - found["completion"].waits + 1 <= 6, "with the one at the end"
    rounds = (found["completion"].kernels - 1) // 2
    assert found["completion"].waits <= rounds + 2, "one for each round, the wrong hits and the labels"
    assert found["embed"].started == 1
    assert found["filter"].started == 2
    assert found["gnn"].started <= 22


def test_bytes_grow_with_the_edges_alone(event: FeatureArray) -> None:
    """In proportion to what the largest event has, at µ = 200: 0.5 GB of the filter and 6 GB of the GNN at most."""
    found = count_engine(event)
    edges, filtered = 8_700, 2_982
    assert found["filter"].moved < edges * 0.5e9 / 2.8e6
    assert found["gnn"].moved < filtered * 6e9 / 1.08e6


def test_the_report_has_every_stage(event: FeatureArray) -> None:
    text = "\n".join(budget_report([event]))
    assert "## 1,473 spacepoints" in text
    for stage in (*STAGES, "all"):
        assert f"| {stage} " in text


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(PerfError, match="make gpu-budget builds it"):
        count_engine(np.zeros((2, 3), np.float32), program=Path("nowhere"))


@pytest.mark.usefixtures("event")
def test_a_program_that_fails() -> None:
    with pytest.raises(PerfError, match="engine-budget: FEATURES: entries must be finite, found nan"):
        count_engine(np.full((2, 3), np.nan, np.float32))
