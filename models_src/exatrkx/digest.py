"""Digest of FEATURES and of a request: the proof that travels with an event, and says whose an answer is.

The digest of FEATURES is one INT64 of their bits, positions and number, the same on every device and in every
implementation (`networks/served.py` in TorchScript, `backends/exatrkx/engine/digest.cpp`). Row order, signs and length
all matter. It is no defence against somebody who searches for two events with one digest.

The digest of a request is that of its FEATURES, mixed with its request id: an answer to an earlier attempt at the
same event is not an answer to this one.
"""

from __future__ import annotations

import re
import sys
from typing import Final

import numpy as np

from exatrkx.arrays import Array

# Odd, so that multiplication modulo 2⁶⁴ loses nothing: the golden ratio's fraction, and a constant of wyhash.
BITS_FACTOR: Final = 0x9E3779B97F4A7C15 - (1 << 64)
POSITION_FACTOR: Final = 0xA0761D6478BD642F - (1 << 64)
HALF: Final = 32

_AT_ONCE: Final = 1 << 16
"""Entries, so that little memory is needed beside them, and that a cache holds."""

_FNV_PRIME: Final = 0x100000001B3
_UNSIGNED: Final = (1 << 64) - 1
_SIGNATURE: Final = re.compile(r" \[request (?:0x[0-9a-f]{16}|unknown)\]")


def features_digest(features: Array) -> int:
    """Digest of features [N,3] FP32, NumPy or CuPy, N ≥ 0, as a signed 64-bit integer.

    With b the bits of entry i of n, as INT32, and w = BITS_FACTOR·b + POSITION_FACTOR·(n + i): the sum of w·(w >> 32),
    all of it INT64 modulo 2⁶⁴, and the shift arithmetic.
    """
    numpy_or_cupy = sys.modules[type(features).__module__.partition(".")[0]]
    bits = numpy_or_cupy.ascontiguousarray(features).reshape(-1).view(np.int32)
    digest = 0
    for start in range(0, bits.size, _AT_ONCE):
        words = bits[start : start + _AT_ONCE].astype(np.int64)
        first = bits.size + start
        position = numpy_or_cupy.arange(first, first + words.size, dtype=np.int64)
        words *= BITS_FACTOR
        position *= POSITION_FACTOR
        words += position
        digest += int((words >> HALF) @ words)
    return _as_signed(digest & _UNSIGNED)


def request_digest(digest: int, request_id: str) -> int:
    """Digest of a request, a signed 64-bit integer: FNV-1a of its id's UTF-8, begun with the digest of its FEATURES."""
    state = digest & _UNSIGNED
    for byte in request_id.encode():
        state = (state ^ byte) * _FNV_PRIME & _UNSIGNED
    return _as_signed(state)


def _as_signed(word: int) -> int:
    return word - (word >> 63 << 64)


def signature(digest: int | None) -> str:
    """What a served model adds to the text of an error: the request's digest, or that it cannot tell whose it was."""
    return f" [request {'unknown' if digest is None else f'0x{digest & _UNSIGNED:016x}'}]"


def signed(text: str) -> tuple[str, str]:
    """An error's text without its signature, and the signature; that is empty where there is none."""
    found = _SIGNATURE.search(text)
    return (text[: found.start()] + text[found.end() :], found.group()) if found else (text, "")
