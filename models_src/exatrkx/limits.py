"""Limits of a request: spacepoints of its event, and its deadline; for C++ they are in `triton/limits.hpp`."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Final

from exatrkx.contract import VARIABLE, TensorSpec
from exatrkx.errors import EventTooLargeError, OverdueError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_SPACEPOINTS: Final = 500_000
"""Most spacepoints of one event, where the environment variable says no other number: some four times µ = 200."""

MAX_SPACEPOINTS_VARIABLE: Final = "EXATRKX_MAX_SPACEPOINTS"

MAX_QUEUE: Final = 64
"""Most requests that wait in a server, where the environment variable says no other number."""

MAX_QUEUE_VARIABLE: Final = "EXATRKX_MAX_QUEUE"

MAX_MEMORY_VARIABLE: Final = "EXATRKX_MAX_MEMORY_MB"
"""Environment variable: MiB of all processes of a server; without it there is no limit."""

METRICS_URL_VARIABLE: Final = "EXATRKX_METRICS_URL"
"""Environment variable: where a server says how many requests wait in it."""

TRY_LATER: Final = "try later"
"""What the refusals say of a server that has too much to do."""

DEADLINE: Final = "deadline_unix_us"
"""Request parameter: microseconds since 1970 (UTC) after which nobody waits for the answer; no step starts later."""


def positive_number(variable: str, default: int) -> int:
    """The positive whole number in an environment variable; the default where there is none."""
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() and int(text) > 0 else default


def check_spacepoints(shape: Sequence[int], spec: TensorSpec) -> None:
    """Refuse an event with too many spacepoints by the shape of a tensor that has a row for each of them.

    Raises:
        EventTooLargeError: with the limit and the number found.
    """
    if len(shape) != 2 or len(spec.dims) != 2 or spec.dims[0] != VARIABLE:  # noqa: PLR2004 - no matrix
        return
    most = positive_number(MAX_SPACEPOINTS_VARIABLE, MAX_SPACEPOINTS)
    if shape[0] > most:
        raise EventTooLargeError(f"{spec.name}: more than max_spacepoints = {most} spacepoints, found {shape[0]}")


def check_deadline(parameters: str) -> None:
    """Refuse a request whose deadline has passed; `parameters` are the request's, as JSON.

    Raises:
        OverdueError: saying by how much.
    """
    deadline = json.loads(parameters).get(DEADLINE) if DEADLINE in parameters else None
    if isinstance(deadline, int) and (overdue := time.time() - deadline / 1e6) > 0:
        raise OverdueError(f"{DEADLINE}: the deadline passed {overdue:.3f} s ago, by this server's clock")
