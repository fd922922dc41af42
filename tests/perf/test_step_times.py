"""Triton's statistics made into times, worked out by hand."""

from __future__ import annotations

import pytest

from exatrkx_perf.errors import MeasurementError
from exatrkx_perf.results import UNEXPLAINED
from exatrkx_perf.served import StepClock, Totals, difference, step_time

MS = 1_000_000


class Statistics:
    """Readings of a server's statistics, one after the other, in place of `TritonApi`."""

    def __init__(self, steps: list[str], *readings: dict[str, Totals]) -> None:
        self._steps = steps
        self._readings = {name: [reading.get(name, {}) for reading in readings] for name in readings[-1]}

    def steps(self, _model: str) -> list[str]:
        return self._steps

    def statistics(self, model: str) -> Totals:
        return self._readings[model].pop(0)


def totals(count: int, *times_ms: float) -> Totals:
    """Of `count` requests, from queue, input, compute, output and whole of one in ms."""
    names = ("queue", "compute_input", "compute_infer", "compute_output", "success")
    return {name: (count, round(count * ms * MS)) for name, ms in zip(names, times_ms, strict=True)}


def test_what_an_ensemble_took_beyond_its_steps() -> None:
    before = {"e": totals(10, 0, 0, 1, 0, 100), "a": totals(10, 5, 5, 5, 5, 20), "b": {}}
    after = {
        "e": difference({k: (-n, -t) for k, (n, t) in before["e"].items()}, totals(4, 0, 0, 0, 0, 10)),
        "a": difference({k: (-n, -t) for k, (n, t) in before["a"].items()}, totals(4, 0.5, 0.25, 3, 0.25, 4.5)),
        "b": totals(4, 0, 0.5, 4, 0.5, 5),
    }
    clock = StepClock(Statistics(["a", "b"], before, after), "e")  # type: ignore[arg-type]  # all that it needs
    whole, steps = clock.stop()
    assert (whole.requests, whole.total_ms) == (4, 10.0)
    assert [step.step for step in steps] == ["a", "b", UNEXPLAINED]
    assert (steps[0].queue_ms, steps[0].compute_infer_ms, steps[0].parts_ms) == (0.5, 3.0, 4.0)
    assert steps[1].parts_ms == 5.0
    assert steps[2].total_ms == pytest.approx(10.0 - 4.0 - 5.0)


def test_a_model_that_is_no_ensemble_is_its_own_step() -> None:
    clock = StepClock(Statistics([], {"m": {}}, {"m": totals(2, 1, 2, 3, 4, 11)}), "m")  # type: ignore[arg-type]  # as above
    whole, steps = clock.stop()
    assert steps == [whole]
    assert whole.parts_ms == 10.0


def test_the_last_answer_may_be_counted_late() -> None:
    step = step_time("a", totals(59, 0, 0, 2, 0, 2), requests=60)
    assert step.compute_infer_ms == pytest.approx(2.0)


def test_a_step_that_is_called_twice_counts_twice() -> None:
    step = step_time("a", totals(120, 0, 0, 2, 0, 2), requests=60)
    assert step.compute_infer_ms == pytest.approx(4.0)


def test_a_step_that_was_not_called_took_no_time() -> None:
    assert step_time("a", {}, requests=60).parts_ms == 0.0


@pytest.mark.parametrize(
    ("after", "message"), [({}, "no request was answered"), ({"fail": (3, 5), "success": (9, 9)}, "3 requests failed")]
)
def test_a_measurement_without_answers_or_with_failures_is_none(after: Totals, message: str) -> None:
    clock = StepClock(Statistics([], {"m": {}}, {"m": after}), "m")  # type: ignore[arg-type]  # as above
    with pytest.raises(MeasurementError, match=message):
        clock.stop()
