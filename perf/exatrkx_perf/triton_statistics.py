"""Triton's statistics of a running server, over gRPC or HTTP: step times; and its configurations and warm-up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from exatrkx.errors import ExatrkxError
from exatrkx_client.transport import Request, connect
from exatrkx_perf.errors import MeasurementError
from exatrkx_perf.events import INPUT
from exatrkx_perf.results import PARTS, UNEXPLAINED, StepTime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exatrkx_client.address import Address
    from exatrkx_perf.events import FeatureArray

Totals = dict[str, tuple[int, int]]
"""Requests and nanoseconds that they took, by Triton's names for the parts of serving one."""

_NS_PER_MS: Final = 1e6
_PATIENCE_S: Final = 600.0


class TritonApi:
    """A connection to one server: inference by `exatrkx_client`, and what the client has no use for by tritonclient.

    Every method raises MeasurementError where the server does not answer or refuses; the text names it.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        grpc = address.protocol == "grpc"
        library = tritonclient.grpc if grpc else tritonclient.http
        self._options = {"as_json": True} if grpc else {}
        self._client = library.InferenceServerClient(address.target)
        self._transport = connect(address)

    def close(self) -> None:
        self._transport.close()
        self._client.close()

    def server_version(self) -> str:
        return str(self._ask("get_server_metadata")["version"])

    def config(self, model: str) -> dict[str, Any]:
        """The model's configuration, as JSON has it."""
        config: dict[str, Any] = self._ask("get_model_config", model)
        return dict(config.get("config", config))  # gRPC wraps it

    def steps(self, model: str) -> list[str]:
        """Names of an ensemble's steps, each once, in their order; none for any other model."""
        steps = self.config(model).get("ensemble_scheduling", {}).get("step", [])
        return list(dict.fromkeys(step["model_name"] for step in steps))

    def statistics(self, model: str) -> Totals:
        """Requests and nanoseconds that they took, since the server began, for each part of serving a model.

        Returns:
            By Triton's names: success (the whole of it), queue, compute_input, compute_infer, compute_output, fail.
        """
        totals: Totals = {}
        for version in self._ask("get_inference_statistics", model)["model_stats"]:
            for name, entry in version.get("inference_stats", {}).items():
                count, ns = totals.get(name, (0, 0))
                # gRPC's JSON writes 64-bit numbers as text and leaves zeros out.
                totals[name] = (count + int(entry.get("count", 0)), ns + int(entry.get("ns", 0)))
        return totals

    def warm_up(self, model: str, arrays: Sequence[FeatureArray], in_flight: int) -> int:
        """Send every event once, `in_flight` at a time.

        Returns:
            Bytes of the largest output tensor that came back.
        """
        try:
            names = tuple(tensor.name for tensor in self._transport.describe(model, _PATIENCE_S).outputs)

            def largest_output(array: FeatureArray) -> int:
                reply = self._transport.submit(Request(model, {INPUT.name: array}, names, _PATIENCE_S)).result()
                return max(tensor.nbytes for tensor in reply.tensors.values())

            with ThreadPoolExecutor(in_flight) as pool:
                return max(pool.map(largest_output, arrays))
        except ExatrkxError as error:
            raise MeasurementError(f"{model}: {error}") from error

    def _ask(self, method: str, *arguments: str) -> Any:
        try:
            return getattr(self._client, method)(*arguments, **self._options)
        except (InferenceServerException, OSError) as error:
            raise MeasurementError(f"{self.address}: {error}") from error


class StepClock:
    """Reads a server's statistics twice, and gives what one request took in between.

    Args:
        api: the server.
        model: the served pipeline; an ensemble's steps are found in its configuration.

    Raises:
        MeasurementError: the server does not answer, or has no such model.
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
