"""Track finding for jagged arrays: awkward events in, awkward labels of the same counts out; alone or in dask-awkward.

Each event is one request, whole and as it is: nothing is padded, cut or batched. What the served networks take beside
the position is taken from fields of the same names.

    labels = find_tracks(client, events.spacepoints)
    labels = events.spacepoints.map_partitions(TrackFinder("tracks.example:8001"))  # dask-awkward, coffea
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import awkward as ak
import numpy as np
import numpy.typing as npt

from exatrkx.contract import ENSEMBLE, NUM_FEATURES
from exatrkx.errors import ContractError, ExatrkxError
from exatrkx.events.event import Event
from exatrkx_client.client import TrackingClient
from exatrkx_client.errors import ClientError
from exatrkx_client.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exatrkx_client.answer import FeatureArray

_POSITION: Final = ("x", "y", "z")
_LISTS: Final = 2
"""Dimensions of jagged positions: events, and their spacepoints."""
_FORMS: Final = f"expected events of spacepoints with x, y and z in mm, or of rows of {NUM_FEATURES} features"
_ONCE: Final = Retry(attempts=1)


def find_tracks(client: TrackingClient, events: ak.Array, in_flight: int = 4) -> ak.Array:
    """Labels of each event's spacepoints.

    Args:
        client: whom to ask.
        events: `n * var * {x, y, z, …}`, positions in mm and, by their names, the columns that the served networks take
            beside them, other fields left alone; or features, `n * var * F * float`, F = 3 for the shipped networks.
            Where the type is an option, an event may be missing; a spacepoint or a number of it may not.
        in_flight: most requests that are on their way at once.

    Returns:
        labels: `n * var * int64` with the counts of `events`, −1 for a spacepoint on no track candidate, else
            0, 1, 2, … within its event. A missing event's are missing; without an event no server is asked. Of a
            typetracer, as dask-awkward gives, only the type is worked out, and the fields needed are x, y, z and those
            that a server names; where none answers, the position alone.

    Raises:
        MissingColumnError: the networks take a column that is no field of the events.
        ContractError: `events` has another form, or something in an event is missing.
        ValueError: `in_flight` is below 1.
        ExatrkxError: as `TrackingClient.find_tracks` has it, with a note of the event's number in `events`.
    """
    events = _jagged(events)
    form = ak.local_index(events, axis=1)  # of the labels: as many integers
    if ak.backend(events) == "typetracer":
        ak.typetracer.touch_data(events[[*_POSITION, *_traced(client, events)]] if ak.fields(events) else events)
        return form
    missing = ak.to_numpy(ak.is_none(events, axis=0))
    numbers = np.flatnonzero(~missing)
    present = ak.drop_none(events, axis=0)
    counts = ak.to_numpy(ak.num(present, axis=1))
    labels = [np.zeros(0, dtype=np.int64)]
    extra = _extra(client, present) if len(numbers) else ()
    sources: Iterator[Any] = _sources(client, present, counts, numbers, extra)
    with closing(client.outcomes(sources, in_flight)) as outcomes:
        for number, (_, outcome) in zip(numbers, outcomes, strict=True):
            if isinstance(outcome, ExatrkxError):
                outcome.add_note(f"event {number} of the array")
                raise outcome
            labels.append(outcome.labels)
    found = ak.unflatten(np.concatenate(labels), counts)
    if not isinstance(form.type.content, ak.types.OptionType):
        return found
    place = np.where(missing, -1, np.cumsum(~missing) - 1)
    return ak.Array(ak.contents.IndexedOptionArray(ak.index.Index64(place), found.layout))


@dataclass(frozen=True)
class TrackFinder:
    """`find_tracks` as a function of the events alone, for `map_partitions`: each call has a client of its own.

    It can be pickled, and so go to Dask's workers; credentials are those of the worker's environment.

    Attributes:
        url, model, timeout_s, retry: as those of `TrackingClient`.
        in_flight: most requests of one partition that are on their way at once.
    """

    url: str | tuple[str, ...]
    model: str = ENSEMBLE.name
    timeout_s: float = 60.0
    retry: Retry | None = None
    in_flight: int = 4

    def __call__(self, events: ak.Array) -> ak.Array:
        with TrackingClient(self.url, self.model, timeout_s=self.timeout_s, retry=self.retry) as client:
            return find_tracks(client, events, self.in_flight)


def _jagged(events: ak.Array) -> ak.Array:
    """Events as lists of variable length; an empty array of no known type is of no events."""
    content, fields = events.type.content, ak.fields(events)
    if isinstance(content, ak.types.UnknownType):
        return ak.unflatten(np.zeros((0, NUM_FEATURES), dtype=np.float32), np.zeros(0, dtype=np.int64))
    if fields:
        fits = set(_POSITION) <= set(fields) and all(events[name].ndim == _LISTS for name in _POSITION)
    else:
        fits = events.ndim == _LISTS + 1 or (events.ndim == _LISTS and str(content).endswith("unknown"))
    if not fits:
        raise ContractError(f"{_FORMS}, found {content}")
    return ak.from_regular(events, axis=1)


def _extra(client: TrackingClient, events: ak.Array, retry: Retry | None = None) -> tuple[str, ...]:
    """Fields that the served networks take beside the position; the server is asked where there are other fields.

    Raises:
        ContractError: one of them is no number of a spacepoint.
    """
    others = set(ak.fields(events)) - set(_POSITION)
    taken = (client.served_features(retry).extra or ()) if others else ()
    names = tuple(one.name for one in taken if one.name in others)
    for name in names:
        if events[name].ndim != _LISTS:
            raise ContractError(f"'{name}': expected numbers, found {events[name].type.content}")
    return names


def _traced(client: TrackingClient, events: ak.Array) -> tuple[str, ...]:
    """The same of a typetracer, whose maker may be where no server is."""
    try:
        return _extra(client, events, _ONCE)
    except ClientError:
        return ()


def _sources(
    client: TrackingClient,
    events: ak.Array,
    counts: npt.NDArray[np.int64],
    numbers: npt.NDArray[np.int64],
    extra: tuple[str, ...],
) -> Iterator[Event | FeatureArray]:
    """What is asked for each event, which has its number in the user's array, and these columns beside its position."""
    stops = np.cumsum(counts)
    rows = list(zip(numbers.tolist(), (stops - counts).tolist(), stops.tolist(), strict=True))
    if ak.fields(events):
        columns = {name: _values(events[name], f"'{name}'", stops, numbers) for name in (*_POSITION, *extra)}
        for number, start, stop in rows:
            x, y, z, *others = (column[start:stop] for column in columns.values())
            yield Event(event_id=number, x=x, y=y, z=z, extra=dict(zip(extra, others, strict=True)))
        return
    features = _values(events, "features", stops, numbers)
    if rows and not len(features):
        features = np.zeros((0, client.served_features().count), dtype=np.float32)
    for _, start, stop in rows:
        yield features[start:stop]


def _values(
    column: ak.Array, name: str, stops: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """All events' values behind each other, FP32.

    Args:
        column: of the events that are there.
        name: what to call it.
        stops: where each event ends.
        numbers: of the events in the user's array.
    """
    try:
        values = ak.to_numpy(ak.flatten(column, axis=1))
    except ValueError as error:
        raise ContractError(f"{name}: rows of different length") from error
    if values.dtype.kind not in "fiu":
        raise ContractError(f"{name}: expected numbers, found {column.type.content}")
    missing = np.broadcast_to(getattr(values, "mask", False), values.shape)
    if missing.any():
        first = int(missing.reshape(len(missing), -1).any(axis=1).argmax())
        number = numbers[np.searchsorted(stops, first, side="right")]
        raise ContractError(
            f"{name}: missing of a spacepoint of event {number}; leave it out before, as by ak.drop_none"
        )
    return np.asarray(values, dtype=np.float32)
