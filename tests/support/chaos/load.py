"""Clients that ask a service for tracks while it is being broken, and keep account of every single request."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from exatrkx_client import Retry, TrackingClient
from exatrkx_client.address import Address
from exatrkx_client.answer import track_result
from exatrkx_client.credentials import Credentials
from exatrkx_client.errors import ClientError, DeadlineError, RequestRejectedError
from exatrkx_client.request import TrackRequest
from exatrkx_client.servers import Servers
from exatrkx_client.transport import InferenceRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from exatrkx_client.answer import TrackResult
    from exatrkx_client.transport import Pending

    Features = npt.NDArray[np.float32]
    Labels = npt.NDArray[np.int64]

Kind = Literal["good", "bad", "huge", "cancelled"]
SHARES: Final[dict[Kind, float]] = {"good": 0.85, "bad": 0.06, "huge": 0.02, "cancelled": 0.07}
MODELS: Final = ("exatrkx_ensemble", "exatrkx_custom")

PATIENCE: Final = Retry(for_s=300.0)
"""How long a client goes on asking: several restarts of a busy service take less."""

STALL_S: Final = 600.0
"""Where no request ends for so long, none will."""

ATTEMPT_S: Final = 30.0
"""How long it waits for one answer."""

HASTE_S: Final = 0.004
"""After so long a cancelled request has been given up: before most answers."""


@dataclass(frozen=True)
class Request:
    """One request and what must come of it: labels, or None for a refusal."""

    kind: Kind
    model: str
    features: Features
    labels: Labels | None


def requests(good: Sequence[tuple[Features, Labels]], too_large: Features, seed: int) -> Iterator[Request]:
    """Requests of every kind in a random order, over both pipelines, without end."""
    random = np.random.default_rng(seed)
    while True:
        kind = random.choice(list(SHARES), p=list(SHARES.values()))
        features, labels = good[random.integers(len(good))]
        expected: Labels | None = labels
        if kind == "huge":
            features, expected = too_large, None
        elif kind == "bad":
            features, expected = (features if len(features) else good[0][0]).copy(), None
            features[random.integers(len(features)), random.integers(3)] = random.choice([np.nan, np.inf, -np.inf])
        yield Request(kind, str(random.choice(MODELS)), features, expected)


@dataclass(frozen=True)
class Extent:
    """How long a load goes on: a number of requests, or a time, which may be without end."""

    requests: int = 0
    seconds: float = 0.0

    def share(self, done: int, elapsed_s: float) -> float:
        """How much of it is over, 0 to 1."""
        return done / self.requests if self.requests else elapsed_s / self.seconds


class Load:
    """Clients in threads of their own that work requests off; faults are done meanwhile.

    Args:
        urls: of the service, or of several servers of the same model.

    Attributes:
        outcomes: how often each kind of request ended how.
        ends: when each of them did, by `time.monotonic`.
        begun: how many were begun.
        wrong: what must not have happened, in words.
    """

    def __init__(self, urls: str | Sequence[str], work: Iterator[Request], extent: Extent, clients: int) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.ends: list[float] = []
        self.begun = 0
        self.wrong: list[str] = []
        self._urls = [urls] if isinstance(urls, str) else urls
        self._work = work
        self._extent = extent
        self._began = time.monotonic()
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    @property
    def done(self) -> int:
        return self.outcomes.total()

    def start(self) -> None:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def wait_for(self, share: float) -> None:
        """Wait until this share of it is over."""
        self.wait_until(lambda: self._share(self.done) >= share)

    def wait_for_more(self, requests: float) -> None:
        """Wait until so many more requests have ended."""
        least = self.done + requests
        self.wait_until(lambda: self.done >= least)

    def wait_until(self, met: Callable[[], bool]) -> None:
        """Wait until something is met, which is asked after each request's end. It must be before the load's end."""
        with self._changed:
            while not met():
                done = self.done
                assert done < self.begun or self._share(self.begun) < 1.0, f"all {done} requests are over before that"
                self._changed.wait(STALL_S)
                assert self.done > done, f"no request of {self.begun} ended for ten minutes; {self.outcomes}"

    def finish(self) -> None:
        """Wait for the rest, and for the end of every request."""
        self.wait_for(1.0)
        self.join()

    def stop(self) -> None:
        """Begin no more requests, and wait for the end of every one."""
        with self._changed:
            self._extent = Extent(requests=self.begun)
        self.join()

    def join(self) -> None:
        """Wait for the threads, once there is nothing left to begin."""
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        with ExitStack() as stack:
            clients: dict[tuple[str, bool], TrackingClient] = {}
            servers = stack.enter_context(closing(Servers(Address.parse_all(self._urls), Credentials())))
            while (request := self._next()) is not None:
                kind = request.model, request.kind == "cancelled"
                if kind not in clients:
                    clients[kind] = stack.enter_context(self._client(*kind))
                try:
                    if request.kind == "bad":
                        outcome, problem = _outcome_unchecked(servers, request)
                    else:
                        outcome, problem = _outcome(clients[kind], request)
                except Exception as error:
                    outcome, problem = "raised", repr(error)
                with self._changed:
                    self.outcomes[request.kind, outcome] += 1
                    self.ends.append(time.monotonic())
                    if problem:
                        self.wrong.append(f"{request.model}, {request.kind}: {problem}")
                    self._changed.notify_all()

    def _client(self, model: str, haste: bool) -> TrackingClient:
        if haste:
            return TrackingClient(self._urls, model, timeout_s=HASTE_S, retry=Retry(attempts=1))
        return TrackingClient(self._urls, model, timeout_s=ATTEMPT_S, retry=PATIENCE)

    def _next(self) -> Request | None:
        with self._changed:
            if self._share(self.begun) >= 1.0:
                return None
            self.begun += 1
            return next(self._work)

    def _share(self, requests: int) -> float:
        return self._extent.share(requests, time.monotonic() - self._began)


def _outcome_unchecked(servers: Servers, request: Request) -> tuple[str, str]:
    """The same of an event that the client itself would not send."""
    wanted = InferenceRequest(request.model, {"FEATURES": request.features}, ("LABELS",), ATTEMPT_S)

    def read(pending: Pending, url: str) -> TrackResult:
        reply = pending.result()
        return track_result(reply.tensors, reply.seconds, len(request.features), url)

    try:
        TrackRequest(servers, wanted, PATIENCE, read).result()
    except RequestRejectedError:
        return "refused", ""
    except ClientError as error:
        return "failed", f"{type(error).__name__}: {error}"
    return "answered", "there are labels for an event that must be refused"


def _outcome(client: TrackingClient, request: Request) -> tuple[str, str]:
    """What came of a request, in a word; and what is wrong with that, or nothing."""
    try:
        labels = client.find_tracks(request.features)
    except RequestRejectedError as error:
        return "refused", "" if request.labels is None else f"a good event was refused: {error}"
    except DeadlineError as error:
        return "given up", "" if request.kind == "cancelled" else f"{error}"
    except ClientError as error:
        return "failed", "" if request.kind == "cancelled" else f"{type(error).__name__}: {error}"
    if request.labels is None:
        return "answered", f"{len(labels)} labels for an event that must be refused"
    if not np.array_equal(labels, request.labels):
        return "wrong", f"{np.count_nonzero(labels != request.labels)} of {len(labels)} labels are wrong"
    return "right", ""
