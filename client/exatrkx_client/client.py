"""Tracking client: one server, one model, events in and track labels out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, TypeVar, overload

import numpy as np
import numpy.typing as npt

from exatrkx.checks import check_features_range, check_tensor
from exatrkx.contract import ENSEMBLE
from exatrkx.errors import ContractError
from exatrkx.events.event import Event, features
from exatrkx_client.address import Address, Protocol
from exatrkx_client.contract_check import require_pipeline
from exatrkx_client.credentials import Credentials
from exatrkx_client.errors import RequestRejectedError, ServerError, ServerUnavailableError
from exatrkx_client.retry import RetriedRequest, Retry
from exatrkx_client.transport import InferenceRequest
from exatrkx_client.triton_api import connect, model_spec

FeatureArray = npt.NDArray[np.float32]
Source = TypeVar("Source", Event, FeatureArray)

_FEATURES: Final = ENSEMBLE.input("FEATURES")
_LABELS: Final = ENSEMBLE.output("LABELS")
_EDGES: Final = (ENSEMBLE.output("EDGE_INDEX"), ENSEMBLE.output("EDGE_SCORES"))

_POLL_S: Final = 0.1
"""Between two questions whether a server is ready."""


@dataclass(frozen=True, slots=True)
class TrackResult:
    """What a server found in an event of N spacepoints.

    Attributes:
        labels: [N] −1, or the number of the spacepoint's track candidate.
        seconds: from the start of sending the request to its decoded answer; of the last attempt, if there were more.
        edge_index: [2,E] edges that the filter kept; None unless they were asked for.
        edge_scores: [E] the GNN's logits of those edges; None unless they were asked for.
    """

    labels: npt.NDArray[np.int64]
    seconds: float
    edge_index: npt.NDArray[np.int64] | None = None
    edge_scores: npt.NDArray[np.float32] | None = None


class TrackingClient:
    """A connection to one served pipeline. May be used from several threads; a context manager.

    Args:
        url: `host:port`, or a URL with the scheme grpc, grpcs, http or https.
        model: `exatrkx_ensemble`, `exatrkx_custom`, or any model with the same tensors.
        protocol: "grpc" or "http"; else what the URL's scheme says, then HTTP for port 8000 and gRPC for the others.
        timeout_s: how long one request may take. Over HTTP, how long the server may stay silent.
        retry: how often a request is sent when the server is unavailable.
        credentials: for a server with TLS or a token; else those of the environment, `Credentials.from_environment`.

    Raises:
        ValueError: `url` is no address, or contradicts `protocol`; CredentialsError: a file of a certificate, key or
            token does not fit. Nothing is sent yet.
    """

    def __init__(
        self,
        url: str,
        model: str = ENSEMBLE.name,
        protocol: Protocol | None = None,
        timeout_s: float = 60.0,
        retry: Retry | None = None,
        *,
        credentials: Credentials | None = None,
    ) -> None:
        self.address = Address.parse(url, protocol)
        self.model = model
        self.timeout_s = timeout_s
        self.retry = retry or Retry()
        self._transport = connect(self.address, credentials)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up requests on their way, and the connection."""
        self._transport.close()

    def is_ready(self) -> bool:
        """Whether the server answers, and server and model take requests."""
        try:
            return self._transport.is_ready(self.model, self.timeout_s)
        except (ServerUnavailableError, TimeoutError):
            return False

    def wait_until_ready(self, timeout_s: float = 30.0) -> None:
        """Wait until server and model take requests.

        Raises:
            ServerUnavailableError: they did not in time; the text says how far it got.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            left = max(deadline - time.monotonic(), _POLL_S)
            try:
                if self._transport.is_ready(self.model, left):
                    return
                reason = f"{self.address}: the server answers, but model '{self.model}' is not ready"
            except (ServerUnavailableError, TimeoutError) as error:
                reason = str(error)
            if time.monotonic() + _POLL_S > deadline:
                raise ServerUnavailableError(f"not ready within {timeout_s:g} s: {reason}")
            time.sleep(_POLL_S)

    def check_contract(self) -> None:
        """Compare the served model's tensors with `exatrkx.contract`.

        Raises:
            ServedModelError: there is no such model, or one with other tensors; the text lists the differences.
            ClientError: the server does not answer.
        """
        require_pipeline(model_spec(self._transport.ask("model", self.model, self.timeout_s)), str(self.address))

    @overload
    def find_tracks(self, source: Event | FeatureArray) -> npt.NDArray[np.int64]: ...
    @overload
    def find_tracks(self, source: Event | FeatureArray, *, with_edges: Literal[True]) -> TrackResult: ...
    def find_tracks(
        self, source: Event | FeatureArray, *, with_edges: bool = False
    ) -> npt.NDArray[np.int64] | TrackResult:
        """Find the tracks of one event.

        Args:
            source: an event, or its features: [N,3] FP32 of (r / 1000 mm, φ / π, z / 1000 mm); N may be 0.
            with_edges: give a `TrackResult` with the graph, too.

        Returns:
            labels: [N] −1 for a spacepoint on no track candidate, else 0, 1, 2, …; or the `TrackResult`.

        Raises:
            ContractError: the features have another type or shape, or fit no detector (`UnitsError`): other units, say.
            ServedModelError: the server has no such model.
            RequestRejectedError: the server found the event at fault, or too large.
            ServerUnavailableError: it could not be reached, in as many attempts as `retry` allows.
            DeadlineError: it did not answer within `timeout_s`.
            ServerError: it failed.
        """
        result = _answer(source, self._send(source, with_edges))
        return result if with_edges else result.labels

    def find_tracks_many(
        self, sources: Iterable[Source], in_flight: int = 4, *, with_edges: bool = False
    ) -> Iterator[tuple[Source, TrackResult]]:
        """Find the tracks of many events, and give each back with its result, in their order.

        Args:
            sources: events or feature arrays; taken one by one, never more than `in_flight` ahead.
            in_flight: most requests that are on their way at once.
            with_edges: ask for the graphs, too.

        Raises:
            ValueError: `in_flight` is below 1.
            Otherwise as `find_tracks`, for the event that is at fault; what is on its way then is given up.
        """
        if in_flight < 1:
            raise ValueError(f"in_flight must be at least 1, found {in_flight}")
        return self._in_order(sources, in_flight, with_edges)

    def _in_order(
        self, sources: Iterable[Source], in_flight: int, with_edges: bool
    ) -> Iterator[tuple[Source, TrackResult]]:
        on_their_way: deque[tuple[Source, RetriedRequest]] = deque()
        try:
            for source in sources:
                if len(on_their_way) == in_flight:
                    yield _first(on_their_way)
                on_their_way.append((source, self._send(source, with_edges)))
            while on_their_way:
                yield _first(on_their_way)
        finally:
            for _, request in on_their_way:
                request.cancel()

    def _send(self, source: Event | FeatureArray, with_edges: bool) -> RetriedRequest:
        array = features(source) if isinstance(source, Event) else source
        check_tensor(array, _FEATURES)
        if not isinstance(source, Event):
            check_features_range(array, _FEATURES.name)
        wanted = (_LABELS, *_EDGES) if with_edges else (_LABELS,)
        names = tuple(tensor.name for tensor in wanted)
        request = InferenceRequest(self.model, {_FEATURES.name: array}, names, self.timeout_s)
        return RetriedRequest(self._transport, request, self.retry)


def _first(on_their_way: deque[tuple[Source, RetriedRequest]]) -> tuple[Source, TrackResult]:
    """Wait for the oldest request, and take it out."""
    source, request = on_their_way.popleft()
    return source, _answer(source, request)


def _answer(source: Event | FeatureArray, request: RetriedRequest) -> TrackResult:
    """Wait for the answer to a request, and make sure that it is one."""
    try:
        reply = request.result()
    except RequestRejectedError as error:
        event = f"event {source.event_id}: " if isinstance(source, Event) else ""
        raise RequestRejectedError(f"{event}{error}") from error
    labels: Any = reply.tensors.get(_LABELS.name)
    try:
        check_tensor(labels, _LABELS)
    except ContractError as error:
        raise ServerError(f"the server's answer: {error}") from error
    if len(labels) != len(source):
        raise ServerError(f"the server's answer: {len(labels)} labels for {len(source)} spacepoints")
    edge_index, edge_scores = (reply.tensors.get(tensor.name) for tensor in _EDGES)
    return TrackResult(labels, reply.seconds, edge_index, edge_scores)
