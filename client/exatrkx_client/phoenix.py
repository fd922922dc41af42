"""Event data of Phoenix, the HEP Software Foundation's event display, as JSON: hits and tracks of one event.

Source: Phoenix, guides/developers/event_data_format.md. Lengths are mm, momenta GeV. Phoenix passes over a track of
fewer than three positions, and over all collections after an empty one, so neither is written.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from exatrkx.performance.matching import NO_PARTICLE
from exatrkx_client.event_scene import KINDS, colours

if TYPE_CHECKING:
    from exatrkx.events.event import IntArray
    from exatrkx_client.event_scene import Scene

_MISSED: Final = "0x000000"
_DIGITS: Final = 3  # µm
_LEAST: Final = 3
_NAMES: Final = tuple(KINDS)


def phoenix_json(scene: Scene) -> bytes:
    """The scene as a file of one event; spacepoints whose position is no number are left out."""
    event = scene.event
    places = np.stack([event.x, event.y, event.z], axis=1).astype(np.float64).round(_DIGITS)
    known = np.isfinite(places).all(axis=1)
    on_track = np.zeros(len(event), dtype=np.bool_)
    tracks: dict[str, list[dict[str, Any]]] = {}
    colour = [
        f"0x{red:02x}{green:02x}{blue:02x}" for red, green, blue in (colours(len(scene.tracks)) * 255).astype(int)
    ]
    for number, way in enumerate(scene.tracks.ways):
        kind = _NAMES[scene.tracks.kind[number]]
        is_candidate = number < len(scene.tracks.label)
        on_track[way] |= is_candidate
        line = places[way[known[way]]]
        if len(line) > 1:
            track = {
                "pos": _at_least_three(line).tolist(),
                "color": colour[number] if is_candidate else _MISSED,
                **({"label": int(scene.tracks.label[number])} if is_candidate else {}),
                **_of_particle(scene, number),
                "spacepoints": way.tolist(),
            }
            tracks.setdefault(kind.capitalize(), []).append(track)
    hits = {"On a candidate": places[known & on_track], "On no candidate": places[known & ~on_track]}
    content = {
        "event number": event.event_id,
        "run number": 0,
        "Hits": {name: found.tolist() for name, found in hits.items() if len(found)},
        "Tracks": tracks,
    }
    return json.dumps({f"Event {event.event_id}": content}, allow_nan=False, separators=(",", ":")).encode()


def _at_least_three(line: Any) -> Any:
    """[≥ 3,3] positions: a line of two with its middle."""
    return line if len(line) >= _LEAST else np.stack([line[0], line.mean(axis=0), line[1]])


def _of_particle(scene: Scene, number: int) -> dict[str, float]:
    """What Phoenix cuts on, of the particle of a track, where it is known."""
    index, truth = int(scene.tracks.particle[number]), scene.event.truth
    if index == NO_PARTICLE or truth is None:
        return {}
    particles: IntArray = np.asarray([index])
    of = truth.particles
    values = {
        "pT": of.pt[particles],
        "eta": of.eta[particles],
        "phi": np.arctan2(of.py[particles], of.px[particles]),
        "charge": of.charge[particles],
    }
    return {name: round(float(value[0]), 5) for name, value in values.items() if np.isfinite(value[0])}
