"""Retry with exponential backoff: a request is sent again to a server that was away for a moment."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from exatrkx_client.errors import ServerUnavailableError
from exatrkx_client.transport import InferenceRequest, Pending, Reply, Transport


@dataclass(frozen=True, slots=True)
class Retry:
    """How often, and how patiently, a request is sent again when the server is unavailable; never for another reason.

    Attributes:
        attempts: most times that a request is sent, the first one included.
        first_delay_s: seconds before the second; each later wait is twice the one before it.
        max_delay_s: the longest wait.
    """

    attempts: int = 4
    first_delay_s: float = 0.2
    max_delay_s: float = 5.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.first_delay_s < 0 or self.max_delay_s < 0:
            raise ValueError(f"attempts must be at least 1 and delays not negative, found {self}")

    def delays(self) -> Iterator[float]:
        """The wait before each attempt after the first."""
        for repeat in range(self.attempts - 1):
            yield min(self.first_delay_s * 2.0**repeat, self.max_delay_s)


class RetriedRequest:
    """A request on its way, which is sent again when the server turns out to be unavailable."""

    def __init__(self, transport: Transport, request: InferenceRequest, retry: Retry) -> None:
        self._transport = transport
        self._request = request
        self._delays = retry.delays()
        self._pending: Pending = transport.submit(request)

    def result(self) -> Reply:
        """Wait for the answer, through as many attempts as are allowed.

        Raises:
            ServerUnavailableError: the last attempt failed, too.
        """
        while True:
            try:
                return self._pending.result()
            except ServerUnavailableError:
                delay = next(self._delays, None)
                if delay is None:
                    raise
                time.sleep(delay)
                self._pending = self._transport.submit(self._request)

    def cancel(self) -> None:
        """Give the request up."""
        self._pending.cancel()
