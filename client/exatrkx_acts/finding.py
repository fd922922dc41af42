"""The algorithm: spacepoints of an event to the server, its track candidates as proto-tracks to the whiteboard."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import acts
import acts.examples as ex
import numpy as np
import numpy.typing as npt

from exatrkx.checks import check_tensor
from exatrkx.contract import ENSEMBLE
from exatrkx.errors import ContractError, ExatrkxError
from exatrkx.events.event import Event, FloatArray, IntArray
from exatrkx.simulation.collect import measurement_indices
from exatrkx_acts.proto_tracks import proto_tracks
from exatrkx_client import RequestRejectedError, TrackingClient
from exatrkx_client.answer import FeatureArray
from exatrkx_client.fallback import DirectPipeline

Fallback = Callable[[FeatureArray], IntArray]
"""From features [N,F] to labels [N], as a server would; called from several threads where the sequencer has several."""

ColumnMaker = Callable[[Any, Any], Mapping[str, npt.ArrayLike]]
"""From an event's `AlgorithmContext` and its `SpacePointContainer` to columns [N] by name."""

_COLUMNS: Final = ("r", "phi", "time", "varianceR", "varianceZ", "varianceT")
"""Numbers that a container may have beside the position."""


@dataclass(slots=True)
class Tally:
    """Events whose tracks the server found, those of the fallback, those left out; and proto-tracks of all together."""

    served: int = 0
    fallen_back: int = 0
    skipped: int = 0
    proto_tracks: int = 0


class ServedTrackFinding(ex.IAlgorithm):  # type: ignore[misc]  # acts ships no types
    """Finds the tracks of each event on a server.

    The algorithm waits for the answer without holding Python's lock. So a sequencer of n threads has n events on
    their way at once, and more threads than cores make sense where the server is another machine.

    A request to a server that is away is sent again as long as the client's `Retry` says. After that, or when the
    server fails otherwise, one of these happens, in this order:

    - With a `fallback`, that finds the event's tracks; the log has one warning for the event.
    - With `skipFailed`, the event alone fails: the log has one error for it, and ACTS runs no later algorithm and no
      writer on it (`ProcessCode.SKIP`). Performance writers do not count it, so look at `tally.skipped`.
    - Else the run ends: `Sequencer.run()` raises the client's error, events that other threads were at are finished,
      and no further ones are begun.

    Where the served networks take columns beside the position, those of the container with the same names are sent
    (r, phi, time, varianceR, varianceZ and varianceT, as far as it has them), and those of `extraColumns`; one that is
    missing ends the run.

    Each text names event, model, server and reason. A fallback is not asked about an event that the server refuses,
    because it would refuse it too; and an error of configuration, such as an unknown model, always ends the run.

    Args:
        client: connection to the server; the caller closes it.
        inputSpacePoints: name of the `SpacePointContainer`.
        outputProtoTracks: name of the `ProtoTrackContainer`: indices of measurements, see `exatrkx_acts.proto_tracks`.
        fallback: "direct" for the pipeline in this process, `exatrkx_client.fallback.DirectPipeline`, or a function
            from features [N,F] to labels [N]; F is 3, unless a server has said more before it went away.
        skipFailed: leave events that fail out, instead of ending the run.
        stripPairs: spacepoints may be made of two measurements, one from each side of a strip module, and both go
            into the proto-track. Without it the first one does, which saves some time where there is only one.
        extraColumns: further columns of each event by name, as of its clusters on the whiteboard.
        level: of the log.

    Raises:
        ExatrkxError: `fallback` is "direct", and torch is not installed.
        ValueError: `fallback` is another text.
    """

    def __init__(
        self,
        client: TrackingClient,
        *,
        inputSpacePoints: str = "spacepoints",
        outputProtoTracks: str = "prototracks",
        fallback: Literal["direct"] | Fallback | None = None,
        skipFailed: bool = False,
        stripPairs: bool = False,
        extraColumns: ColumnMaker | None = None,
        level: Any = acts.logging.INFO,
    ) -> None:
        super().__init__("ServedTrackFinding", level)
        if isinstance(fallback, str) and fallback != "direct":
            raise ValueError(f"the fallback must be 'direct' or a function, found {fallback!r}")
        self.tally = Tally()
        self.event_done: Callable[[], object] = lambda: None
        self._counting = threading.Lock()
        self._client = client
        self._fallback = _direct() if isinstance(fallback, str) else fallback
        self._skip_failed = skipFailed
        self._strip_pairs = stripPairs
        self._extra_columns = extraColumns
        self._spacepoints = ex.ReadDataHandle(self, acts.SpacePointContainer, "SpacePoints")
        self._spacepoints.initialize(inputSpacePoints)
        self._proto_tracks = ex.WriteDataHandle(self, ex.ProtoTrackContainer, "ProtoTracks")
        self._proto_tracks.initialize(outputProtoTracks)

    def execute(self, context: Any) -> Any:
        """Find the tracks of one event; called by ACTS.

        Raises:
            ExatrkxError: no tracks were found, and the event is not to be skipped; see the class.
        """
        spacepoints = self._spacepoints(context.eventStore)
        x, y, z = (np.array(column, dtype=np.float32) for column in (spacepoints.x, spacepoints.y, spacepoints.z))
        extra = columns(spacepoints)
        if self._extra_columns is not None:
            made = self._extra_columns(context, spacepoints)
            extra |= {name: np.asarray(column, dtype=np.float32) for name, column in made.items()}
        event = Event(event_id=context.eventNumber, x=x, y=y, z=z, extra=extra)
        try:
            labels = self._labels(event)
        except ContractError:
            raise
        except ExatrkxError as error:
            if not self._skip_failed:
                raise
            text = f"{error}; the event is skipped"
            self.logger.error(text)  # noqa: TRY400 - it is ACTS's, which has no `exception`
            self._count(skipped=1)
            self.event_done()
            return ex.ProcessCode.SKIP
        found = proto_tracks(labels, event.r, measurements(spacepoints, strip_pairs=self._strip_pairs))
        self._proto_tracks(context, ex.ProtoTrackContainer([ex.ProtoTrack(track) for track in found]))
        self._count(proto_tracks=len(found))
        self.event_done()
        return ex.ProcessCode.SUCCESS

    def _labels(self, event: Event) -> IntArray:
        """[N] of the server, else of the fallback."""
        try:
            labels = self._client.find_tracks(event)
        except ExatrkxError as error:
            failure = self._named(event, error)
            if self._fallback is None or isinstance(error, ContractError | RequestRejectedError):
                raise failure from error
            text = f"{failure}; the fallback finds its tracks"
            self.logger.warning(text)
            labels = self._fall_back(self._fallback, event, self._client.features_of(event))
            self._count(fallen_back=1)
            return labels
        self._count(served=1)
        return labels

    def _fall_back(self, fallback: Fallback, event: Event, hits: FeatureArray) -> IntArray:
        who = f"event {event.event_id}: the fallback"
        try:
            labels = fallback(hits)
        except ExatrkxError as error:
            # A broken contract is here the event's fault, as it is where the server says so.
            kind = RequestRejectedError if isinstance(error, ContractError) else type(error)
            raise kind(f"{who}: {error}") from error
        try:
            check_tensor(labels, ENSEMBLE.output("LABELS"))
        except ContractError as error:
            raise ContractError(f"{who}: {error}") from error
        if len(labels) != len(event):
            raise ContractError(f"{who}: {len(labels)} labels for {len(event)} spacepoints")
        return labels

    def _named(self, event: Event, error: ExatrkxError) -> ExatrkxError:
        """The same error, with what it happened to."""
        who = f"event {event.event_id}: "
        return type(error)(f"{who}no tracks from model '{self._client.model}': {str(error).removeprefix(who)}")

    def _count(self, **more: int) -> None:
        with self._counting:
            for name, number in more.items():
                setattr(self.tally, name, getattr(self.tally, name) + number)


def _direct() -> Fallback:
    """The labels alone of `DirectPipeline`."""
    pipeline = DirectPipeline()

    def labels(features: FeatureArray) -> IntArray:
        found: IntArray = pipeline(features).labels
        return found

    return labels


def columns(spacepoints: Any) -> dict[str, FloatArray]:
    """[N] each of the numbers that a `SpacePointContainer` has beside the position, by name."""
    found = {name: getattr(spacepoints, name, None) for name in _COLUMNS}
    return {name: np.array(column, dtype=np.float32) for name, column in found.items() if column is not None}


def measurements(spacepoints: Any, *, strip_pairs: bool = False) -> list[tuple[int, ...]]:
    """[N] indices of the measurements of which each spacepoint of a `SpacePointContainer` was made.

    Args:
        spacepoints: N spacepoints with at least one source link each.
        strip_pairs: all source links of each; else its first.
    """
    index = ex.IndexSourceLink.fromSourceLink
    if strip_pairs:
        return [tuple(index(link).index() for link in spacepoint.sourceLinks) for spacepoint in spacepoints]
    return [(measurement,) for measurement in measurement_indices(spacepoints)]
