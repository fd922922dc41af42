"""Layouts of track files: which columns a file of tracks has, of a row for each spacepoint, candidate or event.

A candidate has its helix fit beside its spacepoints, as `exatrkx.fitting.tracks.TRACK_FIT` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa

from exatrkx.contract import NOISE_LABEL
from exatrkx.fitting.settings import FitSettings
from exatrkx.fitting.tracks import TRACK_FIT, fit_tracks

if TYPE_CHECKING:
    from exatrkx.events.event import Event, IntArray

Per = Literal["spacepoint", "track"]
Layout = Literal["exatrkx", "colliderml"]

POSITIONS: Final = ("x", "y", "z")

_SPACEPOINTS: Final = pa.schema(
    {
        "event_id": pa.int64(),
        "spacepoint": pa.int64(),
        "x": pa.float32(),
        "y": pa.float32(),
        "z": pa.float32(),
        "label": pa.int64(),
    }
)
_FITTED: Final = tuple(name for name in TRACK_FIT.names or () if name != "label")
_TRACKS: Final = pa.schema(
    {
        "event_id": pa.int64(),
        "label": pa.int64(),
        "spacepoints": pa.list_(pa.int64()),
        **{name: pa.from_numpy_dtype(TRACK_FIT[name]) for name in _FITTED},
    }
)
_ASSIGNED_HITS: Final = pa.schema({"event_id": pa.int64(), "hit_id": pa.int64(), "track_id": pa.int64()})
_PARAMETERS: Final = ("d0", "z0", "phi", "theta", "qop")
_EVENTS_OF_TRACKS: Final = pa.schema(
    [
        pa.field("event_id", pa.uint32(), nullable=False),
        *(pa.field(name, pa.list_(pa.float32()), nullable=False) for name in _PARAMETERS),
        pa.field("majority_particle_id", pa.list_(pa.uint64()), nullable=False),
        pa.field("hit_ids", pa.list_(pa.list_(pa.uint32())), nullable=False),
        pa.field("track_id", pa.list_(pa.uint16()), nullable=False),
    ]
)
"""ColliderML release 1, and what ACTS's reader of it expects."""
_NO_PARTICLE: Final = 2**64 - 1

_SCHEMAS: Final = {
    ("exatrkx", "spacepoint"): _SPACEPOINTS,
    ("exatrkx", "track"): _TRACKS,
    ("colliderml", "spacepoint"): _ASSIGNED_HITS,
    ("colliderml", "track"): _EVENTS_OF_TRACKS,
}


def schema_of(layout: Layout, per: Per) -> Any:
    """The columns of a file and their types."""
    return _SCHEMAS[layout, per]


def rows_of(
    layout: Layout, per: Per, event: Event, labels: IntArray, settings: FitSettings | None = None
) -> dict[str, Any]:
    """The columns of an event of N spacepoints with these labels [N]; `settings` are those of the fit.

    Raises:
        ContractError: a candidate is to be fitted, and a position is not finite.
    """
    if layout == "colliderml":
        return _assigned_hits(event, labels) if per == "spacepoint" else _event_of_tracks(event, labels, settings)
    if per == "spacepoint":
        places = {name: getattr(event, name) for name in POSITIONS}
        number = np.full(len(event), event.event_id)
        return {"event_id": number, "spacepoint": np.arange(len(event)), **places, "label": labels}
    names, groups = group_by_label(labels)
    fits = fit_tracks(event.x, event.y, event.z, labels, settings)
    rows = {"event_id": np.full(len(names), event.event_id), "label": names, "spacepoints": groups}
    return {**rows, **{name: fits[name] for name in _FITTED}}


def group_by_label(labels: IntArray) -> tuple[IntArray, list[IntArray]]:
    """The labels ≥ 0 in rising order, and for each the indices of its spacepoints in rising order."""
    found = np.flatnonzero(labels > NOISE_LABEL)
    in_order = found[np.argsort(labels[found], kind="stable")]
    names, starts = np.unique(labels[in_order], return_index=True)
    return names, np.split(in_order, starts[1:]) if len(names) else []


def _assigned_hits(event: Event, labels: IntArray) -> dict[str, Any]:
    """What `colliderml.tasks.evaluate` takes: a hit of no track is left out, or all of them would be one."""
    hits = np.flatnonzero(labels > NOISE_LABEL)
    return {"event_id": np.full(len(hits), event.event_id), "hit_id": hits, "track_id": labels[hits]}


def _event_of_tracks(event: Event, labels: IntArray, settings: FitSettings | None) -> dict[str, Any]:
    """All candidates of an event in a row; the parameters of those without a fit are null."""
    names, groups = group_by_label(labels)
    fits = fit_tracks(event.x, event.y, event.z, labels, settings)
    theta = 2.0 * np.arctan(np.exp(-fits["eta"]))
    values = (fits["d0"], fits["z0"], fits["phi"], theta, fits["charge"] * np.sin(theta) / fits["pt"])
    return {
        "event_id": [event.event_id],
        **{
            name: [pa.array(one, pa.float32(), from_pandas=True)] for name, one in zip(_PARAMETERS, values, strict=True)
        },
        "majority_particle_id": [[_NO_PARTICLE] * len(names)],
        "hit_ids": [groups],
        "track_id": [names],
    }
