"""Limits of a server as its processes are told them: spacepoints of an event, requests that wait, and memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exatrkx.checks import MAX_SPACEPOINTS_VARIABLE
from exatrkx.serving.limits import MAX_MEMORY_VARIABLE, MAX_QUEUE_VARIABLE

if TYPE_CHECKING:
    from exatrkx_server.options import ServerOptions

_MEMORY_SHARE: Final = 0.8
_MIB: Final = 1 << 20
_GIB: Final = 1 << 30


def usable_memory(memory_max: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Bytes of memory that this machine has, bounded by the limit of its container (cgroup v2)."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(total, int(memory_max.read_text()))
    except (OSError, ValueError):
        return total  # no such file, or "max": no limit


def limit_environment(options: ServerOptions) -> dict[str, str]:
    """Environment variables that tell the processes of the server their limits, see `exatrkx.serving.limits`."""
    memory = usable_memory() * _MEMORY_SHARE if options.max_memory_gib is None else options.max_memory_gib * _GIB
    return {
        MAX_SPACEPOINTS_VARIABLE: str(options.max_spacepoints),
        MAX_QUEUE_VARIABLE: str(options.max_queue),
        MAX_MEMORY_VARIABLE: str(max(int(memory / _MIB), 1)),
    }
