"""Request for the tracks of one event: sent, and sent again there or to another server, until it is answered."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import replace

from exatrkx.errors import ExatrkxError
from exatrkx_client.answer import TrackResult
from exatrkx_client.errors import ClientError
from exatrkx_client.metrics import ClientMetrics
from exatrkx_client.retry import Retry
from exatrkx_client.servers import Server, Servers
from exatrkx_client.transport import InferenceRequest, Pending

Reader = Callable[[Pending, str], TrackResult]
"""Waits for an attempt's answer, and checks it; the text is the server's URL. What it raises is the attempt's error."""


class TrackRequest:
    """A request on its way: sent again where an error is `retryable`, and to another server where it `fails_over`.

    A server that fails otherwise (`ServerError`) is not asked again for this event: the event might be what breaks it.
    Then comes the fallback, where there is one; without a request, while no server is there.
    """

    def __init__(
        self,
        servers: Servers,
        request: InferenceRequest,
        retry: Retry,
        read: Reader,
        fallback: Callable[[], TrackResult] | None = None,
        *,
        metrics: ClientMetrics | None = None,
    ) -> None:
        self._servers = servers
        self._request = request
        self._retry = retry
        self._read = read
        self._fallback = fallback
        self._metrics = metrics
        self._failures = 0
        self._first_failure = 0.0
        self._without: set[Server] = set()
        self._pending: Pending | None = None
        if fallback is None or not servers.given_up or servers.any_is_well(request.model):
            self._send(servers.choose(request.model))

    def result(self) -> TrackResult:
        """Wait for the answer, through as many attempts as `Retry` allows, or for the fallback's.

        Raises:
            ClientError: the last attempt failed, too; the text says how many there were, if more than one.
        """
        try:
            found = self._result()
        except ExatrkxError as error:
            if self._metrics:
                self._metrics.failed(error)
            raise
        if self._metrics:
            self._metrics.answered(found)
        return found

    def _result(self) -> TrackResult:
        if self._pending is not None:
            try:
                return self._served(self._pending)
            except ClientError as error:
                if self._fallback is None or not error.fails_over or self._servers.closed:
                    raise
                if error.retryable:
                    self._servers.give_up(error)
        assert self._fallback is not None
        return replace(self._fallback(), attempts=self._failures)

    def cancel(self) -> None:
        """Give the request up."""
        if self._pending is not None:
            self._pending.cancel()

    def _served(self, pending: Pending) -> TrackResult:
        while True:
            if os.getpid() != self._process:  # forked since: the answer goes to the parent
                pending = self._send(self._server)
            try:
                found = self._read(pending, str(self._server.address))
            except ClientError as error:
                pending = self._again(error)
            else:
                self._server.answered()
                return replace(found, attempts=self._failures + 1)

    def _again(self, error: ClientError) -> Pending:
        """Send the request once more, or raise the error."""
        now = time.monotonic()
        self._first_failure = self._first_failure if self._failures else now
        self._failures += 1
        if not error.fails_over or self._servers.closed:
            raise error
        self._server.failed()
        if not error.retryable:
            self._without.add(self._server)
        server = self._servers.choose(self._request.model, self._without)
        wait = self._retry.wait_s(self._failures, now - self._first_failure, random.random())  # noqa: S311 - no secret
        # Of several requests on their way one waits for the servers, not each in turn.
        if server is None or wait is None or (self._fallback is not None and self._servers.given_up):
            tried = f" (after {self._failures} attempts)" if self._failures > 1 else ""
            raise error.told_as(f"{error}{tried}") from error
        if server.rests_until:  # nobody is known to be well
            time.sleep(wait)
        return self._send(server)

    def _send(self, server: Server | None) -> Pending:
        assert server is not None
        self._process, self._server = os.getpid(), server
        self._pending = server.transport.submit(self._request)
        return self._pending
