"""Retry with exponential backoff and jitter: how long, and how often, a request is sent again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from exatrkx_client.errors import ClientError

Answer = TypeVar("Answer")

_MOST_DOUBLINGS: Final = 60
"""Beyond it every wait has long been the longest one, and a power of two no longer fits a float."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How long, and how patiently, a request is sent again after an error that is `retryable`.

    So an event ends, one way or the other, within `for_s` and twice the time that one attempt may take: the first
    failure is noticed after one such time at the latest, and the last attempt begins `for_s` later.

    Attributes:
        for_s: seconds after the first failure in which attempts still begin; the default outlasts a server's restart.
        attempts: most times that a request is sent, the first one included; None for no limit but the time.
        first_delay_s: the longest wait before the second attempt; each later one is twice the one before it.
        max_delay_s: the longest wait.
    """

    for_s: float = 30.0
    attempts: int | None = None
    first_delay_s: float = 0.1
    max_delay_s: float = 2.0

    def __post_init__(self) -> None:
        if (self.attempts is not None and self.attempts < 1) or min(
            self.for_s, self.first_delay_s, self.max_delay_s
        ) < 0:
            raise ValueError(f"attempts must be at least 1 and times not negative, found {self}")

    def wait_s(self, failures: int, elapsed_s: float, draw: float) -> float | None:
        """Seconds before the next attempt; None where there is to be none.

        Args:
            failures: attempts that failed, at least 1.
            elapsed_s: since the first of them failed.
            draw: a random number of [0, 1], which keeps many clients from coming back at the same time.
        """
        if elapsed_s >= self.for_s or failures == self.attempts:
            return None
        longest = min(self.first_delay_s * 2.0 ** min(failures - 1, _MOST_DOUBLINGS), self.max_delay_s)
        return min(longest * (1.0 + draw) / 2.0, self.for_s - elapsed_s)

    def asked(self, ask: Callable[[], Answer]) -> Answer:
        """The answer to a question, which is asked again after an error that is `retryable`.

        Raises:
            ClientError: the last attempt failed, too; the text says how many there were, if more than one.
        """
        failures, first_failure = 0, 0.0
        while True:
            try:
                return ask()
            except ClientError as error:
                now = time.monotonic()
                first_failure = first_failure if failures else now
                failures += 1
                wait = self.wait_s(failures, now - first_failure, random.random()) if error.retryable else None  # noqa: S311 - no secret
                if wait is None:
                    tried = f" (after {failures} attempts)" if failures > 1 else ""
                    raise error.told_as(f"{error}{tried}") from error
                time.sleep(wait)
