"""Pipelining of requests: several on their way at once, and their outcomes in the order in which they were sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

from exatrkx.errors import ExatrkxError
from exatrkx_client.answer import TrackResult
from exatrkx_client.request import TrackRequest

Source = TypeVar("Source")


def in_order(
    sources: Iterable[Source], send: Callable[[Source], TrackRequest], in_flight: int
) -> Generator[tuple[Source, TrackResult | ExatrkxError], None, None]:
    """Each source with its result, or with the error of sending it or of its answer.

    Closed early, it gives up what is on its way.

    Args:
        sources: taken one by one, never more than `in_flight` ahead.
        send: starts a source's request.
        in_flight: most requests that are on their way at once; at least 1.
    """
    on_their_way: deque[tuple[Source, TrackRequest | ExatrkxError]] = deque()
    try:
        for source in sources:
            if len(on_their_way) == in_flight:
                yield _first(on_their_way)
            try:
                on_their_way.append((source, send(source)))
            except ExatrkxError as error:
                on_their_way.append((source, error))
        while on_their_way:
            yield _first(on_their_way)
    finally:
        for _, request in on_their_way:
            if isinstance(request, TrackRequest):
                request.cancel()


def _first(
    on_their_way: deque[tuple[Source, TrackRequest | ExatrkxError]],
) -> tuple[Source, TrackResult | ExatrkxError]:
    """Wait for the oldest request, and take it out."""
    source, request = on_their_way.popleft()
    try:
        return source, request.result() if isinstance(request, TrackRequest) else request
    except ExatrkxError as error:
        return source, error
