"""Triton's API (KServe v2 with Triton's extensions) over gRPC or HTTP: readiness, models, configurations, statistics.

The one caller of Triton: the client's requests, what a measurement asks, and what `exatrkx_server` asks of the server
that it starts. Questions over HTTP need neither NumPy arrays nor tritonclient.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from exatrkx.contract import ModelSpec, TensorSpec
from exatrkx_client.address import Address
from exatrkx_client.credentials import Credentials
from exatrkx_client.http_transport import HttpTransport
from exatrkx_client.transport import Array, Connection, InferenceRequest, Reply


def connect(address: Address, credentials: Credentials) -> Connection:
    """A transport for the address's protocol. Only that protocol's libraries are imported; nothing is sent yet.

    Raises:
        CredentialsError: a file of the credentials does not fit, or they are for TLS and the address is without.
    """
    if address.protocol == "grpc":
        # Here, because HTTP needs no gRPC; in this order, because gRPC reads what the first one sets.
        from exatrkx_client.grpc_fork import require_fork_support  # noqa: PLC0415

        require_fork_support(address)
        from exatrkx_client.grpc_transport import GrpcTransport  # noqa: PLC0415

        return GrpcTransport(address, credentials)
    import tritonclient.http  # noqa: F401, PLC0415 - now, and not with the first event

    return HttpTransport(address, credentials)


@dataclass(frozen=True, slots=True)
class ModelState:
    """One model of a server's repository: READY, or not and why."""

    name: str
    state: str
    reason: str

    @property
    def ready(self) -> bool:
        return self.state == "READY"

    def __str__(self) -> str:
        # On one line, without the Python backend's traceback (which the log has) and Triton's name for the error.
        reason = " ".join(self.reason.partition("\n\nAt:")[0].split())
        reason = re.sub(r"^(Internal|Invalid argument): (ContractError: )?", "", reason).removeprefix(f"{self.name}: ")
        # Triton says nothing about an ensemble that it did not try to load.
        return f"{self.name}: {reason or 'a model that it needs did not load'}"


class TritonApi:
    """A connection to one server, for any of its models. May be used from several threads; a context manager.

    Every method raises a `ClientError` whose text names the server where it does not answer or refuses, and
    `ServedModelError` where it has no such model. One question or request may take `timeout_s`.
    """

    def __init__(self, address: Address, timeout_s: float = 60.0, credentials: Credentials | None = None) -> None:
        self.address = address
        self._timeout_s = timeout_s
        given = Credentials.from_environment() if credentials is None else credentials
        self._transport = connect(address, given) if address.protocol == "grpc" else HttpTransport(address, given)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up what is on its way, and the connection."""
        self._transport.close()

    def server_name(self) -> str:
        """What the server was started with as `--id`."""
        return str(self._ask("server")["name"])

    def server_version(self) -> str:
        return str(self._ask("server")["version"])

    def model_states(self) -> list[ModelState]:
        """Every model that the server found in its repository."""
        return [
            ModelState(entry["name"], entry.get("state", "UNLOADED"), entry.get("reason", ""))
            for entry in self._ask("models")
        ]

    def is_ready(self, model: str) -> bool:
        """Whether server and model take requests."""
        return self._transport.is_ready(model, self._timeout_s)

    def describe(self, model: str) -> ModelSpec:
        """The model's tensors as the server has them."""
        return model_spec(self._ask("model", model))

    def config(self, model: str) -> dict[str, Any]:
        """The model's configuration, as JSON has it."""
        return dict(self._ask("config", model))

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
        for version in self._ask("statistics", model):
            for name, entry in version.get("inference_stats", {}).items():
                count, ns = totals.get(name, (0, 0))
                # gRPC's JSON writes 64-bit numbers as text and leaves zeros out.
                totals[name] = (count + int(entry.get("count", 0)), ns + int(entry.get("ns", 0)))
        return totals

    def infer(self, model: str, inputs: Mapping[str, Array], outputs: tuple[str, ...] = ()) -> Reply:
        """One request: the model's outputs of these names, or all."""
        return self._transport.submit(InferenceRequest(model, inputs, outputs, self._timeout_s)).result()

    def _ask(self, question: Any, model: str = "") -> Any:
        return self._transport.ask(question, model, self._timeout_s)


def model_spec(metadata: Mapping[str, Any]) -> ModelSpec:
    """A model's tensors, out of the metadata that a server gives of it."""
    inputs, outputs = (
        tuple(
            TensorSpec(tensor["name"], tensor["datatype"], tuple(int(size) for size in tensor.get("shape", ())))
            for tensor in metadata.get(kind, ())
        )
        for kind in ("inputs", "outputs")
    )
    return ModelSpec(metadata["name"], inputs, outputs)
