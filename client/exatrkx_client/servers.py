"""Load balancing and fail-over between servers of the same model: least outstanding requests of those that are well."""

from __future__ import annotations

import logging
import math
import os
import random
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Final

from exatrkx_client.address import Address
from exatrkx_client.credentials import Credentials
from exatrkx_client.errors import ClientError, DeadlineError, ServerUnavailableError
from exatrkx_client.proof import ProvingTransport
from exatrkx_client.retry import Retry
from exatrkx_client.transport import Connection, InferenceRequest, Pending, Reply, Transport
from exatrkx_client.triton_api import connect

_REST: Final = Retry(for_s=math.inf, first_delay_s=1.0, max_delay_s=2.0)
"""How long a server that failed is left alone. The longest rest is what a server that is back may stay without work."""

_SILENCE_S: Final = 5.0
"""After so long without an answer a server is asked whether it is ready, and again and again."""

_READY_S: Final = 2.0
"""How long it may take to say so."""

_PROBE_S: Final = 1.0
"""How long a server that failed may take to say that it is ready again."""

_logger = logging.getLogger(__name__)


class _WatchedRequest:
    """A request to one of several servers, given up where that neither answers nor says that it is ready.

    A busy server says so at once. One that hangs, or whose machine is suspended, would keep the request for as long as
    an attempt may take.
    """

    def __init__(self, answer: Future[Reply], is_ready: Callable[[], bool]) -> None:
        self._answer = answer
        self._is_ready = is_ready
        self.cancel = answer.cancel

    def result(self) -> Reply:
        """Wait for the answer; raises what came in its place."""
        while not wait((self._answer,), _SILENCE_S).done:
            trouble = self._trouble()
            if trouble and not self._answer.done():
                self._answer.cancel()
                raise ServerUnavailableError(f"no answer yet, and the server does not say that it is ready: {trouble}")
        return self._answer.result()

    def _trouble(self) -> str:
        """Why the server is not known to be there; empty where it is."""
        try:
            return "" if self._is_ready() else "it says that it is not"
        except (ServerUnavailableError, DeadlineError) as error:
            return str(error)


class _CountingTransport:
    """A transport whose requests are kept in a set until their answers have come, and watched."""

    def __init__(self, connection: Connection, on_their_way: set[Future[Reply]]) -> None:
        self._connection = connection
        self._on_their_way = on_their_way
        self.is_ready, self.ask, self.close = connection.is_ready, connection.ask, connection.close

    def submit(self, request: InferenceRequest) -> Pending:
        """Start sending a request."""
        answer = self._connection.submit(request)
        self._on_their_way.add(answer)
        answer.add_done_callback(self._on_their_way.discard)
        return _WatchedRequest(answer, partial(self.is_ready, request.model, _READY_S))


class Server:
    """One of the servers: its address, its connection, and how it answered.

    A forked process has a connection of its own; the inherited one is its parent's, and is left alone.

    Attributes:
        rests_until: by `time.monotonic`, until when a server that failed is not asked if another one can be; 0 where
            the last answer was a good one.
        failed_at: by the same clock, when it failed last.
        chosen_at: a number that grows with each choice of a server.
    """

    def __init__(self, address: Address, credentials: Credentials, *, alone: bool = False) -> None:
        self.address = address
        self._alone = alone
        self._credentials = credentials
        self.rests_until = self.failed_at = 0.0
        self.chosen_at = 0
        self._failures = 0
        self._closed = False
        self._on_their_way: dict[int, set[Future[Reply]]] = {}
        self._transports: dict[int, Transport] = {os.getpid(): self._connected()}

    @property
    def outstanding(self) -> int:
        """Requests of this process whose answers have not come, read or not."""
        return len(self._on_their_way.get(os.getpid(), ()))

    @property
    def transport(self) -> Transport:
        """This process's connection."""
        process = os.getpid()
        if process not in self._transports:
            if self._closed:
                raise ServerUnavailableError(f"{self.address}: this client is closed")
            made = self._connected()
            if self._transports.setdefault(process, made) is not made:  # another thread was faster
                made.close()
        return self._transports[process]

    def _connected(self) -> Transport:
        """A new connection, whose requests count as this process's."""
        connection = connect(self.address, self._credentials)
        if self._alone:  # there is no choice, and nobody else to ask
            return ProvingTransport(connection)
        on_their_way = self._on_their_way.setdefault(os.getpid(), set())
        return ProvingTransport(_CountingTransport(connection, on_their_way))

    def answered(self) -> None:
        """It is well."""
        self._failures, self.rests_until = 0, 0.0

    def failed(self) -> None:
        """It is left alone for a while, the longer the more often it failed after such a rest."""
        self.failed_at = time.monotonic()
        if self.failed_at >= self.rests_until:
            self._failures += 1
            rest = _REST.wait_s(self._failures, 0.0, random.random()) or 0.0  # noqa: S311 - no secret
            self.rests_until = self.failed_at + rest

    def is_well(self, model: str, *, wait: bool) -> bool:
        """Whether it takes requests again; asked only where it failed before, and once its rest is over.

        Without `wait` the answer is for whoever asks later: another server is there for the event meanwhile.
        """
        if self.rests_until and time.monotonic() >= self.rests_until:
            self.failed()  # so that other threads do not ask at the same time
            if wait:
                self._probe(model)
            else:
                threading.Thread(target=self._probe, args=(model,), daemon=True).start()
        return self.rests_until == 0.0

    def _probe(self, model: str) -> None:
        """Ask whether it takes requests again."""
        with suppress(ClientError):
            if self.transport.is_ready(model, _PROBE_S):
                self.answered()

    def close(self) -> None:
        """Give up requests on their way, and the connection; nothing happens the second time."""
        self._closed = True
        transport = self._transports.get(os.getpid())
        if transport is not None:
            transport.close()


class Servers:
    """The servers that share the work of this process. Iterating gives each `Server`, in the order of the addresses.

    Attributes:
        given_up: a fallback answers, since no server did in time, and none is ready again.
    """

    def __init__(self, addresses: Sequence[Address], credentials: Credentials) -> None:
        self._servers = [Server(address, credentials, alone=len(addresses) == 1) for address in addresses]
        # Many processes that ask for one event each do not all begin with the same one.
        for turn, server in enumerate(random.sample(self._servers, len(self._servers))):
            server.chosen_at = turn
        self._turns = count(len(self._servers))
        self.given_up = False
        self.closed = False

    def __iter__(self) -> Iterator[Server]:
        return iter(self._servers)

    def choose(self, model: str, without: Collection[Server] = ()) -> Server | None:
        """The server that is asked next: of those that are well the one with the fewest outstanding requests.

        Of several with as few the one that was chosen longest ago; where none is well, the one whose last failure is
        oldest.

        Returns:
            None where `without` leaves none.
        """
        left = [server for server in self._servers if server not in without]
        well = [server for server in left if server.is_well(model, wait=False)] if len(left) > 1 else []
        if not well:  # an only one need not be asked how it is
            return min(left, key=lambda server: server.failed_at, default=None)
        chosen = min(well, key=lambda server: (server.outstanding, server.chosen_at))
        chosen.chosen_at = next(self._turns)
        return chosen

    def give_up(self, error: ClientError) -> None:
        """Leave events to a fallback for now, and say so once."""
        if self.given_up:
            return
        _logger.warning("%s; the pipeline in this process takes the server's place", error)
        self.given_up = True
        for server in self._servers:
            server.failed()

    def any_is_well(self, model: str) -> bool:
        """Whether a server takes requests, after none did."""
        self.given_up = not any(server.is_well(model, wait=True) for server in self._servers)
        return not self.given_up

    def close(self) -> None:
        """Give up requests on their way, and the connections; nothing happens the second time."""
        self.closed = True
        for server in self._servers:
            server.close()
