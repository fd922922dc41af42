"""Digest of FEATURES and of a request: the proof that travels with an event, and says whose an answer is.

The digest of FEATURES is one INT64 of their bits, positions and number, the same on every device and in every
implementation (`networks/served.py` in TorchScript, `backends/exatrkx/engine/host_digest.hpp`). Row order, signs and
length all matter. It is no defence against somebody who searches for two events with one digest.

The digest of a request is that of its FEATURES, mixed with its request id: an answer to an earlier attempt at the
same event is not an answer to this one.

Either travels beside a tensor that was worked out for the request, its payload, and has the payload's digest added.
Who gets both takes that off again, of the payload as it came: where one of them is of another request, or half of it,
what is left is no digest of anything. A network adds its edges' digest, too, so that it says which it scored.
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

PERIOD: Final = 64
"""Entries of a payload that count differently."""

_POWERS: Final = np.cumprod(np.full(PERIOD, BITS_FACTOR))

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


def payload_digest(payload: Array) -> int:
    """Digest of a tensor FP32 or INT64 of any shape, NumPy or CuPy, as a signed 64-bit integer.

    With w the bits of entry i, as INT32 or INT64: the sum of w times the (1 + i modulo PERIOD)-th power of BITS_FACTOR,
    modulo 2⁶⁴. It takes as long as to read the tensor, and tells it from another request's, and from one a part of
    which is another's.
    """
    numpy_or_cupy = sys.modules[type(payload).__module__.partition(".")[0]]
    entries = numpy_or_cupy.ascontiguousarray(payload).reshape(-1)
    words = entries.view(np.int32) if entries.dtype == np.float32 else entries
    whole = words.size - words.size % PERIOD
    columns = words[:whole].reshape(-1, PERIOD).sum(axis=0, dtype=np.int64)
    columns[: words.size - whole] += words[whole:]
    return int(columns @ numpy_or_cupy.asarray(_POWERS))


def added(digest: int, *payloads: int) -> int:
    """The digest with those of payloads added, or, where they are negative, taken off; a signed 64-bit integer."""
    return _as_signed(sum(payloads, digest) & _UNSIGNED)


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
