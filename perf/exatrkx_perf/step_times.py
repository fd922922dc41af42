"""Step times by Triton's own statistics: queue, input, compute and output of each step of a served pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exatrkx_perf.errors import MeasurementError
from exatrkx_perf.results import PARTS, UNEXPLAINED, StepTime

if TYPE_CHECKING:
    from exatrkx_client.triton_api import TritonApi

Totals = dict[str, tuple[int, int]]
"""Requests and nanoseconds that they took, by Triton's names for the parts of serving one."""

_NS_PER_MS: Final = 1e6


class StepClock:
    """Reads a server's statistics twice, and gives what one request took in between.

    Args:
        api: the server.
        model: the served pipeline; an ensemble's steps are found in its configuration.

    Raises:
        ClientError: the server does not answer, or has no such model.
    """

    def __init__(self, api: TritonApi, model: str) -> None:
        self._api = api
        self.model = model
        self.steps = api.steps(model)
        self._before = self._read()

    def stop(self) -> tuple[StepTime, list[StepTime]]:
        """The whole model's time, and its steps'; for an ensemble the last one is what the steps leave unexplained.

        A model that is no ensemble is its own only step.

        Raises:
            MeasurementError: requests failed in between, or there were none.
        """
        after = self._read()
        differences = {name: difference(self._before[name], after[name]) for name in after}
        failed = differences[self.model].get("fail", (0, 0))[0]
        if failed:
            raise MeasurementError(f"{self.model}: {failed} requests failed; the server's log says why")
        requests = differences[self.model].get("success", (0, 0))[0]
        if requests == 0:
            raise MeasurementError(f"{self.model}: no request was answered")
        whole = step_time(self.model, differences[self.model], requests)
        if not self.steps:
            return whole, [whole]
        steps = [step_time(step, differences[step], requests) for step in self.steps]
        rest = whole.total_ms - sum(step.parts_ms for step in steps)
        return whole, [*steps, StepTime(UNEXPLAINED, requests, 0.0, 0.0, 0.0, 0.0, rest)]

    def _read(self) -> dict[str, Totals]:
        return {name: self._api.statistics(name) for name in (self.model, *self.steps)}


def difference(before: Totals, after: Totals) -> Totals:
    """Requests and nanoseconds of each part between two readings."""
    zero = (0, 0)
    return {
        name: (count - before.get(name, zero)[0], ns - before.get(name, zero)[1]) for name, (count, ns) in after.items()
    }


def step_time(step: str, totals: Totals, requests: int) -> StepTime:
    """Times in ms for one of `requests` requests of the whole.

    A step is counted a moment after its answer has left, so its own number may be off by the last one; each mean is
    over the step's own requests, times how often the pipeline calls it.
    """
    own = totals.get("success", (0, 0))[0]
    calls = max(round(own / requests), 1)
    ms = {name: calls * ns / _NS_PER_MS / max(count, 1) for name, (count, ns) in totals.items()}
    return StepTime(step, own, *(ms.get(part, 0.0) for part in (*PARTS, "success")))
