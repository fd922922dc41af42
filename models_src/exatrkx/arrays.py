"""Arrays of NumPy (CPU) or CuPy (GPU), and glibc malloc settings that keep freed memory for the next event."""

from __future__ import annotations

import ctypes
import sys
from typing import Any, Final, TypeAlias

Array: TypeAlias = Any
"""A NumPy or a CuPy array. CuPy ships no types and may not be installed, so no narrower type can be written."""


def on_gpu(array: Array) -> bool:
    """Whether this is a CuPy array; importing no CuPy to find out."""
    return type(array).__module__.partition(".")[0] == "cupy"


# Each layer of a network writes a few megabytes that the next one frees. With glibc's defaults such blocks are mapped
# and unmapped each time, and the kernel clears their pages again: on two CPU cores the filter took 24 ms for 17,000
# edges, and 6 ms with the settings below. Blocks above the largest threshold, as are the edges of an event at µ = 200,
# are mapped all the same unless mapping is turned off: the neighbours' process took 218 ms with it, and 200 without.
# From <malloc.h>: the parameters' numbers, and the largest threshold that glibc takes on 64 bits.
_M_TRIM_THRESHOLD: Final = -1
_M_TOP_PAD: Final = -2
_M_MMAP_THRESHOLD: Final = -3
_M_MMAP_MAX: Final = -4
_LARGEST_MMAP_THRESHOLD: Final = 32 << 20

RETAINED_BYTES: Final = 512 << 20
"""Freed memory that a process keeps for its next event, at most."""

_TOP_PAD: Final = 64 << 20

MALLOC_ENVIRONMENT: Final[dict[str, str]] = {
    "MALLOC_MMAP_THRESHOLD_": str(_LARGEST_MMAP_THRESHOLD),
    "MALLOC_TRIM_THRESHOLD_": str(RETAINED_BYTES),
    "MALLOC_TOP_PAD_": str(_TOP_PAD),
}
"""The settings for a server, whose threads have heaps of 64 MiB each: there large blocks are mapped in any case."""


def retain_freed_memory() -> bool:
    """Tell glibc to keep freed blocks for the next event. Returns False where the C library is another one."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = (
        (_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD),
        (_M_TRIM_THRESHOLD, RETAINED_BYTES),
        (_M_TOP_PAD, _TOP_PAD),
        (_M_MMAP_MAX, 0),
    )
    return all(mallopt(parameter, value) == 1 for parameter, value in settings)
