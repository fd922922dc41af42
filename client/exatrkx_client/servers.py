"""Fail-over between several servers of the same model: which one is asked next, by how they answered before."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from exatrkx_client.address import Address
from exatrkx_client.credentials import Credentials
from exatrkx_client.errors import ClientError, ServerUnavailableError
from exatrkx_client.proof import ProvingTransport
from exatrkx_client.transport import Transport
from exatrkx_client.triton_api import connect

_FIRST_REST_S: Final = 1.0
_LONGEST_REST_S: Final = 30.0
_MOST_DOUBLINGS: Final = 5
_PROBE_S: Final = 1.0
"""How long a server that failed may take to say that it is ready again."""

_logger = logging.getLogger(__name__)


class Server:
    """One of the servers: its address, its connection, and how it answered.

    A forked process has a connection of its own; the inherited one is its parent's, and is left alone.

    Attributes:
        rests_until: by `time.monotonic`, until when a server that failed is not asked if another one can be; 0 where
            the last answer was a good one.
        failed_at: by the same clock, when it failed last.
    """

    def __init__(self, address: Address, credentials: Credentials) -> None:
        self.address = address
        self._credentials = credentials
        self.rests_until = self.failed_at = 0.0
        self._failures = 0
        self._closed = False
        self._transports: dict[int, Transport] = {os.getpid(): ProvingTransport(connect(address, credentials))}

    @property
    def transport(self) -> Transport:
        """This process's connection."""
        process = os.getpid()
        if process not in self._transports:
            if self._closed:
                raise ServerUnavailableError(f"{self.address}: this client is closed")
            made = ProvingTransport(connect(self.address, self._credentials))
            if self._transports.setdefault(process, made) is not made:  # another thread was faster
                made.close()
        return self._transports[process]

    def answered(self) -> None:
        """It is well."""
        self._failures, self.rests_until = 0, 0.0

    def failed(self) -> None:
        """It is left alone for a while, the longer the more often it failed after such a rest."""
        self.failed_at = time.monotonic()
        if self.failed_at >= self.rests_until:
            self.rests_until = self.failed_at + min(_FIRST_REST_S * 2.0**self._failures, _LONGEST_REST_S)
            self._failures = min(self._failures + 1, _MOST_DOUBLINGS)

    def is_well(self, model: str) -> bool:
        """Whether it takes requests again; asked only where it failed before, and once its rest is over."""
        if self.rests_until == 0.0:
            return True
        if time.monotonic() < self.rests_until:
            return False
        self.failed()  # so that other threads do not ask at the same time
        try:
            if not self.transport.is_ready(model, _PROBE_S):
                return False
        except ClientError:
            return False
        self.answered()
        return True

    def close(self) -> None:
        """Give up requests on their way, and the connection; nothing happens the second time."""
        self._closed = True
        transport = self._transports.get(os.getpid())
        if transport is not None:
            transport.close()


class Servers:
    """The servers in the order in which they are preferred. Iterating gives each `Server`.

    Attributes:
        given_up: a fallback answers, since no server did in time, and none is ready again.
    """

    def __init__(self, addresses: Sequence[Address], credentials: Credentials) -> None:
        self._servers = [Server(address, credentials) for address in addresses]
        self.given_up = False
        self.closed = False

    def __iter__(self) -> Iterator[Server]:
        return iter(self._servers)

    def choose(self, model: str, without: Collection[Server] = ()) -> Server | None:
        """The server that is asked next: the first that is well, else the one whose last failure is oldest.

        Returns:
            None where `without` leaves none.
        """
        left = [server for server in self._servers if server not in without]
        if len(left) > 1:  # an only one need not be asked how it is
            well = next((server for server in left if server.is_well(model)), None)
            if well is not None:
                return well
        return min(left, key=lambda server: server.failed_at, default=None)

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
        self.given_up = not any(server.is_well(model) for server in self._servers)
        return not self.given_up

    def close(self) -> None:
        """Give up requests on their way, and the connections; nothing happens the second time."""
        self.closed = True
        for server in self._servers:
            server.close()
