"""Resumable track finding: what an interrupted run found is taken from its journal, the rest from the server."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

import numpy as np

from exatrkx.errors import ExatrkxError, OutputRefusedError
from exatrkx.events.event import Event
from exatrkx.journal import Arrays, Journal
from exatrkx_client.answer import TrackResult
from exatrkx_client.client import TrackingClient
from exatrkx_client.errors import RequestRejectedError

Skip = Callable[[Exception], object]


def find_resumable(
    client: TrackingClient, events: Iterable[Event], in_flight: int, journal: Journal | None, skip: Skip | None = None
) -> Iterator[tuple[Event, TrackResult]]:
    """Each event with its tracks, in their order; what the server finds is added to the journal.

    Args:
        client: whom to ask.
        events: the same ones, from the first on, that the journal's run had.
        in_flight: most requests on their way at once.
        journal: what is finished; None keeps nothing.
        skip: is told about an event that the server refuses, and the next one follows; without it that is an error.

    Raises:
        OutputRefusedError: the journal is of other events.
        ClientError: as `TrackingClient.find_tracks_many`.
    """
    left = iter(events)
    entries = journal.entries() if journal is not None else iter(())
    for entry, event in zip(entries, left, strict=False):
        if entry["digest"] != _digest(event):
            raise OutputRefusedError(
                f"{journal and journal.path}: is of other events: event {event.event_id} is not what it has; without "
                "--resume it is replaced"
            )
        if "refused" not in entry:
            who, attempts = str(entry["answered_by"]), int(entry["attempts"])
            yield event, TrackResult(entry["labels"], float(entry["seconds"]), answered_by=who, attempts=attempts)
        elif skip is not None:
            skip(RequestRejectedError(str(entry["refused"])))
        else:
            raise RequestRejectedError(str(entry["refused"]))
    for event, answer in _answers(client, left, in_flight, skip):
        if journal is not None:
            journal.add(digest=_digest(event), **_entry(answer))
        if isinstance(answer, TrackResult):
            yield event, answer


def _answers(
    client: TrackingClient, events: Iterator[Event], in_flight: int, skip: Skip | None
) -> Iterator[tuple[Event, TrackResult | RequestRejectedError]]:
    """The server's answer to each event; a refusal only where it is skipped."""
    with closing(client.outcomes(events, in_flight)) as outcomes:
        for event, outcome in outcomes:
            if isinstance(outcome, RequestRejectedError) and skip is not None:
                skip(outcome)
            elif isinstance(outcome, ExatrkxError):
                raise outcome
            yield event, outcome


def _entry(answer: TrackResult | RequestRejectedError) -> Arrays:
    if isinstance(answer, TrackResult):
        known = {"answered_by": np.str_(answer.answered_by), "attempts": np.int64(answer.attempts)}
        return {"labels": answer.labels, "seconds": np.float64(answer.seconds), **known}
    return {"refused": np.str_(answer)}


def _digest(event: Event) -> str:
    """What tells an event from every other one: a hash of its number and its spacepoints' columns."""
    content = hashlib.sha256(str(event.event_id).encode())
    for array in (event.x, event.y, event.z, *event.extra.values()):
        content.update(array.tobytes())
    return content.hexdigest()
