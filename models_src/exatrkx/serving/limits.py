"""Limits of a server, which its processes find in their environment, and the deadline of a request."""

from __future__ import annotations

import json
import time
from typing import Final

from exatrkx.errors import OverdueError

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


def check_deadline(parameters: str) -> None:
    """Refuse a request whose deadline has passed; `parameters` are the request's, as JSON.

    Raises:
        OverdueError: saying by how much.
    """
    deadline = json.loads(parameters).get(DEADLINE) if DEADLINE in parameters else None
    if isinstance(deadline, int) and (overdue := time.time() - deadline / 1e6) > 0:
        raise OverdueError(f"{DEADLINE}: the deadline passed {overdue:.3f} s ago, by this server's clock")
