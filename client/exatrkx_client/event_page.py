"""Event display as a page: one HTML file that turns an event in three dimensions in a browser, without a network.

The page has its own WebGL (`page/`), a few hundred lines without a library, and the event as typed arrays in base64.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from exatrkx.performance.matching import NO_PARTICLE
from exatrkx.performance.selection import TARGET
from exatrkx_client.detector_outline import outline_of
from exatrkx_client.event_scene import KINDS, colours

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from exatrkx.events.event import IntArray, Particles
    from exatrkx_client.event_scene import Scene

_SCRIPTS: Final = ("data.js", "camera.js", "renderer.js", "view.js", "panel.js", "main.js")
_TYPES: Final = {
    "f4": "Float32Array",
    "i4": "Int32Array",
    "u1": "Uint8Array",
    "i8": "BigInt64Array",
    "u8": "BigUint64Array",
}


def event_page(scene: Scene, files: Sequence[str], score: npt.NDArray[np.float32] | None = None) -> bytes:
    """The page of a scene.

    Args:
        scene: what is shown.
        files: names of the files of events and of tracks.
        score: [C] a number from 0 to 1 for each candidate, NaN where there is none; see `candidate_scores`.
    """
    style = _part("event.css")
    script = "".join(_part(name) for name in _SCRIPTS)
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    page = _part("event.html").replace("@policy@", policy).replace("@style@", style).replace("@script@", script)
    # Last, for it may hold any text; and no text can end its element.
    return page.replace("@event@", _json(_content(scene, files, score)), 1).encode()


def candidate_scores(
    labels: IntArray, edge_index: IntArray, edge_scores: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """[C] mean probability of the edges within each candidate, by rising label; NaN where there is no edge.

    Args:
        labels: [N] the number of the spacepoint's candidate, or a negative one for none.
        edge_index: [2,E] the edges.
        edge_scores: [E] their logits.
    """
    names = np.unique(labels[labels >= 0])
    first, second = labels[edge_index]
    within = (first >= 0) & (first == second)
    place = np.searchsorted(names, first[within])
    probability = 1.0 / (1.0 + np.exp(-np.clip(edge_scores[within].astype(np.float64), -50.0, 50.0)))
    count = np.bincount(place, minlength=len(names))
    total = np.bincount(place, weights=probability, minlength=len(names))
    with np.errstate(invalid="ignore"):
        return (total / count).astype(np.float32)


def _content(scene: Scene, files: Sequence[str], score: npt.NDArray[np.float32] | None) -> dict[str, Any]:
    event, outline = scene.event, outline_of(scene.event)
    counts = np.bincount(scene.tracks.kind, minlength=len(KINDS)).tolist()
    return {
        "event": event.event_id,
        "files": list(files),
        "kinds": [
            {"name": name, "means": means, "count": counts[at]} for at, (name, means) in enumerate(KINDS.items())
        ],
        "found": scene.found,
        "selection": str(TARGET),
        "detector": {"barrels": outline.barrels, "discs": outline.discs},
        "arrays": {name: _encoded(array) for name, array in _arrays(scene, score).items()},
    }


def _arrays(scene: Scene, score: npt.NDArray[np.float32] | None) -> Mapping[str, npt.NDArray[Any]]:
    """The page's arrays: of N spacepoints, of T tracks, the first C of them candidates, and of P particles."""
    event, tracks, truth = scene.event, scene.tracks, scene.event.truth
    used = np.unique(np.concatenate([scene.maker, tracks.particle]))
    used = used[used != NO_PARTICLE]
    candidate = np.full(len(event), -1)
    for number, way in enumerate(tracks.ways[: len(tracks.label)]):
        candidate[way] = number
    particles = _of_particles(truth.particles, used) if truth is not None else {}
    return {
        "position": np.stack([event.x, event.y, event.z], axis=1).astype("<f4"),  # [N,3] mm
        "candidate": candidate.astype("<i4"),  # [N] place among the tracks, or −1
        "maker": _place(scene.maker, used),  # [N] place among the particles, or −1
        "label": tracks.label.astype("<i8"),  # [C]
        "way": np.concatenate([*tracks.ways, np.zeros(0)]).astype("<i4"),
        "start": np.cumsum([0, *map(len, tracks.ways)]).astype("<i4"),  # [T+1] of each track in `way`
        "kind": tracks.kind.astype("u1"),  # [T]
        "particle": _place(tracks.particle, used),  # [T]
        "shared": tracks.shared.astype("<i4"),  # [T]
        "made": tracks.made.astype("<i4"),  # [T]
        "colour": (colours(len(tracks)) * 255).astype("u1"),  # [T,3]
        **particles,
        **({"score": score.astype("<f4")} if score is not None else {}),  # [C]
    }


def _of_particles(particles: Particles, used: IntArray) -> dict[str, npt.NDArray[Any]]:
    return {
        "particleId": particles.particle_id[used].astype("<u8"),
        "particlePdg": particles.pdg[used].astype("<i4"),
        "particleCharge": particles.charge[used].astype("<f4"),
        "particlePt": particles.pt[used].astype("<f4"),  # GeV
        "particleEta": particles.eta[used].astype("<f4"),
        "particleVertex": particles.vr[used].astype("<f4"),  # mm from the axis
        "particleColour": (colours(len(used)) * 255).astype("u1"),  # [P,3]
    }


def _place(particle: IntArray, used: IntArray) -> npt.NDArray[np.int32]:
    """[·] place of each particle among those used, −1 for none."""
    return np.where(particle == NO_PARTICLE, -1, np.searchsorted(used, particle)).astype("<i4")


def _encoded(array: npt.NDArray[Any]) -> dict[str, str]:
    return {"type": _TYPES[array.dtype.str[1:]], "data": base64.b64encode(array.tobytes()).decode()}


def _json(content: Mapping[str, Any]) -> str:
    """JSON in ASCII that stands within a `<script>` whatever its texts are."""
    return json.dumps(content, allow_nan=False).replace("<", "\\u003c")


def _part(name: str) -> str:
    return resources.files("exatrkx_client").joinpath("page", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
