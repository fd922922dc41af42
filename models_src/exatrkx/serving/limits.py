"""Limits of a server, which its processes find in their environment, and the deadline of a request."""

from __future__ import annotations

import re
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

_DEADLINE: Final = re.compile(rf'"{DEADLINE}":(-?\d+)[,}}]')
"""In JSON as Triton writes it, without spaces. Every step looks for it in every request: reading all of the JSON takes
a tenth of the time of a step in Python, whose code is in no cache by then."""


def check_deadline(parameters: str) -> None:
    """Refuse a request whose deadline has passed; `parameters` are the request's, as JSON.

    Raises:
        OverdueError: saying by how much.
    """
    found = _DEADLINE.search(parameters)
    if found and (overdue := time.time() - int(found[1]) / 1e6) > 0:
        raise OverdueError(f"{DEADLINE}: the deadline passed {overdue:.3f} s ago, by this server's clock")
