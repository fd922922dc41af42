"""NumPy on the CPU, CuPy on a GPU: one name for an array of either, and the question which it is."""

from __future__ import annotations

from typing import Any, TypeAlias

Array: TypeAlias = Any
"""A NumPy or a CuPy array. CuPy ships no types and may not be installed, so no narrower type can be written."""


def on_gpu(array: Array) -> bool:
    """Whether this is a CuPy array; importing no CuPy to find out."""
    return type(array).__module__.partition(".")[0] == "cupy"
