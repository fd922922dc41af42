"""What a measurement asks a Triton server besides inference: its version, models and statistics; gRPC or HTTP."""

from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from tritonclient.utils import InferenceServerException

from exatrkx.contract import ENSEMBLE
from exatrkx_perf.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exatrkx_client.address import Address
    from exatrkx_perf.events import FeatureArray

INPUT: Final = ENSEMBLE.inputs[0]


class TritonApi:
    """A connection to one server.

    Every method raises MeasurementError where the server does not answer or refuses; the text names it.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._grpc = address.protocol == "grpc"
        # One of them alone: the other one's libraries may be missing.
        self._library = importlib.import_module(f"tritonclient.{address.protocol}")
        self._client = self._library.InferenceServerClient(address.target)

    def close(self) -> None:
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
        versions = self._ask("get_inference_statistics", model)["model_stats"]
        totals: dict[str, tuple[int, int]] = {}
        for version in versions:
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
        with ThreadPoolExecutor(in_flight) as pool:
            return max(pool.map(lambda array: self._largest_output(model, array), arrays))

    def _largest_output(self, model: str, array: FeatureArray) -> int:
        # A client of its own: tritonclient's HTTP half is bound to the thread that made it.
        client = self._library.InferenceServerClient(self.address.target)
        try:
            tensor = self._library.InferInput(INPUT.name, list(array.shape), INPUT.datatype)
            tensor.set_data_from_numpy(array)
            result = client.infer(model, [tensor])
            response = result.get_response()
            outputs = response["outputs"] if isinstance(response, dict) else response.outputs
            names = [output["name"] if isinstance(output, dict) else output.name for output in outputs]
            return max(int(result.as_numpy(name).nbytes) for name in names)
        except (InferenceServerException, OSError) as error:
            raise MeasurementError(f"{self.address}: {model}: {error}") from error
        finally:
            client.close()

    def _ask(self, method: str, *arguments: str) -> Any:
        options = {"as_json": True} if self._grpc else {}
        try:
            return getattr(self._client, method)(*arguments, **options)
        except (InferenceServerException, OSError) as error:
            raise MeasurementError(f"{self.address}: {error}") from error
