"""Tracking client: one model of one server or of several, events in and track labels out."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Final, Literal, Self, TypeVar, overload

import numpy as np
import numpy.typing as npt

from exatrkx.contract import ENSEMBLE, FEATURES, NUM_FEATURES, num_features
from exatrkx.errors import ExatrkxError
from exatrkx.events.event import Event
from exatrkx_client.address import Address, Protocol
from exatrkx_client.answer import EDGES, LABELS, FeatureArray, TrackResult, track_result
from exatrkx_client.contract_check import require_pipeline
from exatrkx_client.credentials import Credentials
from exatrkx_client.errors import ClientError, DeadlineError, RequestRejectedError, ServerUnavailableError
from exatrkx_client.fallback import Fallback, FallbackName, Pipeline
from exatrkx_client.identity import agreed, service_identity
from exatrkx_client.in_order import in_order
from exatrkx_client.metrics import ClientMetrics
from exatrkx_client.request import TrackRequest
from exatrkx_client.retry import Retry
from exatrkx_client.served_features import FeaturesAsked, ServedFeatures
from exatrkx_client.servers import Server, Servers
from exatrkx_client.transport import InferenceRequest, Pending, Question
from exatrkx_client.triton_api import model_spec

Source = TypeVar("Source", Event, FeatureArray)

_POLL_S: Final = 0.1
"""Between two questions whether a server is ready."""
_ASK_S: Final = 2.0
"""A question whether a server is ready may take this long, however little time is left: far away, or busy, it does."""


class TrackingClient:
    """A connection to one served pipeline. May be used from several threads; a context manager.

    A process that was forked makes connections of its own, over either protocol.

    Args:
        url: `host:port`, or a URL with the scheme grpc, grpcs, http or https; or several, of servers of the same
            networks, which share the events: each goes to the server with the fewest outstanding requests of this
            process; one that fails is left alone for a while, and others are asked.
        model: `exatrkx_ensemble`, `exatrkx_custom`, or any model with the same tensors.
        protocol: "grpc" or "http"; else what the URL's scheme says, then HTTP for port 8000 and gRPC for the others.
        timeout_s: how long one attempt may take. Over HTTP, how long the server may stay silent.
        retry: how long, and how often, a request is sent again when no server is available.
        fallback: what finds the tracks when no server does: "direct" for the pipeline in this process, with this
            package's networks, or an `exatrkx.pipeline.Pipeline` with those that are served. After the first event that
            falls back, servers are asked again as soon as they say that they are ready.
        metrics: counts answers, retries and failures, and writes them to a file, at the end too.
        credentials: for servers with TLS or a token; else those of the environment, `Credentials.from_environment`.

    Raises:
        ValueError: `url` is no address, or contradicts `protocol`; or there is none. Nothing is sent yet.
        ClientError: the environment names a proxy that is none, or there is no file descriptor left.
        ExatrkxError: `fallback` is "direct", and torch is not installed.
        CredentialsError: a file of a certificate, key or token does not fit.
    """

    def __init__(
        self,
        url: str | Sequence[str],
        model: str = ENSEMBLE.name,
        protocol: Protocol | None = None,
        timeout_s: float = 60.0,
        retry: Retry | None = None,
        *,
        fallback: FallbackName | Pipeline | None = None,
        metrics: ClientMetrics | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self.addresses = Address.parse_all([url] if isinstance(url, str) else url, protocol)
        self.model = model
        self.timeout_s = timeout_s
        self.retry = retry or Retry()
        self._fallback = Fallback(fallback) if fallback is not None else None
        self._metrics = metrics
        self._servers = Servers(self.addresses, Credentials.from_environment() if credentials is None else credentials)
        asked = lambda: next((found for _, found in self._served_features()), None)  # noqa: E731 - of a line
        self._features = FeaturesAsked(asked, self.retry)

    @property
    def address(self) -> Address:
        """The server that was named first."""
        return self.addresses[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up requests on their way, and the connections; nothing happens the second time."""
        self._servers.close()
        metrics, self._metrics = self._metrics, None
        if metrics:
            metrics.write()

    def is_ready(self) -> bool:
        """Whether a server answers, and server and model take requests, as Triton says.

        Triton says so also where a stage's process has died since: `/ready` of `exatrkx serve` knows better.
        """
        return any(not self._what_ails(server, self.timeout_s) for server in self._servers)

    def wait_until_ready(self, timeout_s: float = 30.0) -> None:
        """Wait until a server and its model take requests; no longer than that where there is a fallback.

        A server that is silent when the time is over has two seconds more for its answer.

        Raises:
            ServerUnavailableError: they did not in time, and there is no fallback; the text says how far each got.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            left = max(deadline - time.monotonic(), _ASK_S)
            reasons = []
            for server in self._servers:
                reason = self._what_ails(server, left)
                if not reason:
                    return
                reasons.append(reason)
            if time.monotonic() + _POLL_S > deadline:
                self._go_without(ServerUnavailableError(f"not ready within {timeout_s:g} s: {'; '.join(reasons)}"))
                return
            time.sleep(_POLL_S)

    def check_contract(self) -> None:
        """Compare the served model's tensors with `exatrkx.contract`, on every server that answers.

        Raises:
            ServedModelError: there is no such model, or one with other tensors; the text lists the differences.
            ClientError: no server answers, and there is no fallback.
        """
        for server, found in self._served_features(check=True):
            self._features.learn(found, str(server.address))

    def identity(self) -> dict[str, str]:
        """What decides the answers, by name: model, weights and working point, the same on every server that answers.

        Raises:
            ServedModelError: there is no such model, or servers differ; the text says in what.
            ClientError: no server answers, and there is no fallback; with one it is the fallback's.
        """
        configs = self._each_answer(lambda server: service_identity(self.model, partial(self._ask, "config", server)))
        found = agreed((str(server.address), identity) for server, identity in configs)
        return found or (self._fallback.identity(self.model) if self._fallback else {})

    def served_features(self, retry: Retry | None = None) -> ServedFeatures:
        """The columns of FEATURES that the served networks take: how many, and which; a server is asked once.

        Args:
            retry: how long, and how often, the question is asked again; else as a request.

        Raises:
            ServedModelError: there is no such model, or its configuration contradicts itself.
            ClientError: no server answers, and there is no fallback.
        """
        return self._features.known(retry)

    def features_of(self, event: Event) -> FeatureArray:
        """[N,F] FP32 features of an event as they are sent; of the position alone where no server has said more yet.

        Raises:
            ContractError: as `find_tracks`.
        """
        return self._features.as_far_as_known(event)

    @overload
    def find_tracks(self, source: Event | FeatureArray) -> npt.NDArray[np.int64]: ...
    @overload
    def find_tracks(self, source: Event | FeatureArray, *, with_edges: Literal[True]) -> TrackResult: ...
    def find_tracks(
        self, source: Event | FeatureArray, *, with_edges: bool = False
    ) -> npt.NDArray[np.int64] | TrackResult:
        """Find the tracks of one event.

        Args:
            source: an event, or its features: [N,3] FP32 of (r / 1000 mm, φ / π, z / 1000 mm), or [N,F] where the
                server's networks take more; N may be 0.
            with_edges: give a `TrackResult` with the graph, too.

        Returns:
            labels: [N] −1 for a spacepoint on no track candidate, else 0, 1, 2, …; or the `TrackResult`.

        Raises:
            ContractError: the features have another type or shape, or fit no detector (`UnitsError`): other units, say;
                or the event lacks a column that the networks take (`MissingColumnError`).
            ServedModelError: the server has no such model.
            RequestRejectedError: the server found the event at fault, or too large.
            ServerUnavailableError: no server could be reached, for as long as `retry` says; or with answers that are
                not known to be to this request (`errors.UnprovenError`).
            DeadlineError: none answered within `timeout_s`, neither.
            AccessError: a server, or a proxy on the way, does not let this client in.
            ServerError: it failed, and so did the others.

        With a fallback, none of these but the first three and AccessError.
        """
        result = self._send(source, with_edges).result()
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
            ExatrkxError: as `find_tracks`, for the event that is at fault; what is on its way then is given up.
        """
        outcomes = self.outcomes(sources, in_flight, with_edges=with_edges)

        def results() -> Iterator[tuple[Source, TrackResult]]:
            with closing(outcomes):
                for source, outcome in outcomes:
                    if isinstance(outcome, ExatrkxError):
                        raise outcome
                    yield source, outcome

        return results()

    def outcomes(
        self, sources: Iterable[Source], in_flight: int = 4, *, with_edges: bool = False
    ) -> Generator[tuple[Source, TrackResult | ExatrkxError], None, None]:
        """Find the tracks of many events as `find_tracks_many` does, and go on after one that fails.

        Returns:
            Each event with its result, or with the error that `find_tracks` raises for it.

        Raises:
            ValueError: `in_flight` is below 1.
        """
        if in_flight < 1:
            raise ValueError(f"in_flight must be at least 1, found {in_flight}")
        return in_order(sources, partial(self._send, with_edges=with_edges), in_flight)

    def _send(self, source: Event | FeatureArray, with_edges: bool) -> TrackRequest:
        array = self._features.array_of(source)
        wanted = (LABELS, *EDGES) if with_edges else (LABELS,)
        names = tuple(tensor.name for tensor in wanted)
        request = InferenceRequest(self.model, {FEATURES.name: array}, names, self.timeout_s)
        fallback = partial(self._fallback.find_tracks, array, with_edges=with_edges) if self._fallback else None
        read = partial(_read, source, self._features)
        return TrackRequest(self._servers, request, self.retry, read, fallback, metrics=self._metrics)

    def _served_features(self, *, check: bool = False) -> Iterator[tuple[Server, ServedFeatures]]:
        """The columns of FEATURES that each server takes which answers."""
        for server, metadata in self._each_answer(lambda server: self._ask("model", server, self.model)):
            spec, address = model_spec(metadata), str(server.address)
            if check:
                require_pipeline(spec, address)
            config = self._ask("config", server, self.model) if num_features(spec) > NUM_FEATURES else {}
            yield server, ServedFeatures.of_model(spec, config, address)

    def _ask(self, question: Question, server: Server, model: str) -> Any:
        return server.transport.ask(question, model, self.timeout_s)

    def _each_answer(self, ask: Callable[[Server], Any]) -> Iterator[tuple[Server, Any]]:
        """Each server that answers, with its answer; an error where none does, and there is no fallback."""
        silent: list[ClientError] = []
        for server in self._servers:
            try:
                answer = ask(server)
            except ClientError as error:
                if not error.fails_over:
                    raise
                silent.append(error)
                server.failed()
            else:
                yield server, answer
        if len(silent) == len(self.addresses):
            self._go_without(silent[0])

    def _what_ails(self, server: Server, timeout_s: float) -> str:
        """Why server and model take no requests; empty where they do."""
        try:
            if server.transport.is_ready(self.model, timeout_s):
                return ""
        except (ServerUnavailableError, DeadlineError) as error:
            return str(error)
        return f"{server.address}: the server answers, but model '{self.model}' is not ready"

    def _go_without(self, error: ClientError) -> None:
        """Leave events to the fallback until a server is ready; without one, the error is raised."""
        if self._fallback is None:
            raise error
        self._servers.give_up(error)


def _read(source: Event | FeatureArray, asked: FeaturesAsked, pending: Pending, url: str) -> TrackResult:
    """Wait for an attempt's answer, and make sure that it is one."""
    try:
        reply = pending.result()
    except RequestRejectedError as error:
        asked.told(source, error)
        event = f"event {source.event_id}: " if isinstance(source, Event) else ""
        raise error.told_as(f"{event}{error}") from error
    return track_result(reply.tensors, reply.seconds, len(source), url)
