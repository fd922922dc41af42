"""Triton's statistics, configurations and version of a running server, over gRPC or HTTP; and its warm-up."""

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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exatrkx_client.address import Address
    from exatrkx_perf.events import FeatureArray

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

    def statistics(self, model: str) -> dict[str, tuple[int, int]]:
        """Requests and nanoseconds that they took, since the server began, for each part of serving a model.

        Returns:
            By Triton's names: success (the whole of it), queue, compute_input, compute_infer, compute_output, fail.
        """
        totals: dict[str, tuple[int, int]] = {}
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
