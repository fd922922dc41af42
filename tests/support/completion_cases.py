"""Track completion's cases: helices that anyone can draw, and crowds of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exatrkx.working_point import WorkingPoint

Array = npt.NDArray[Any]
Crowd: TypeAlias = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], WorkingPoint]
"""[N,3] features, [N] labels, and the cuts."""

CUTS: Final = WorkingPoint(
    radius=1.0, max_neighbors=5, filter_cut=0.5, gnn_cut=0.5, completion_reach=500.0, min_track_hits=3
)
LAYERS: Final = (32.0, 72.0, 116.0, 172.0, 260.0, 360.0, 500.0, 660.0, 820.0, 1020.0)


def features_of(points: Array) -> npt.NDArray[np.float32]:
    x, y, z = points.T
    rows: npt.NDArray[np.float32] = np.stack(
        (np.hypot(x, y) / 1000.0, np.arctan2(y, x) / np.pi, z / 1000.0), axis=1
    ).astype(np.float32)
    return rows


def helix(phi: float = 0.3, radius: float = 3000.0, cotangent: float = 0.5, vertex: float = 20.0) -> Array:
    """[10,3] where a track from the beam line crosses the layers: a circle through the origin, and z along its arc."""
    r = np.array(LAYERS)
    turn = np.arcsin(r / (2.0 * radius))
    return np.stack((r * np.cos(phi + turn), r * np.sin(phi + turn), vertex + cotangent * 2.0 * radius * turn), axis=1)


def crowded(seed: int, tracks: int, noise: int) -> tuple[Array, npt.NDArray[np.int64]]:
    """Helices close to each other, hits lost and smeared, in pieces, and noise; in random order."""
    random = np.random.default_rng(seed)
    points, labels, next_label = [random.normal(0.0, 300.0, (noise, 3))], [np.full(noise, -1)], 0
    for _ in range(tracks):
        radius = random.choice([-1.0, 1.0]) * 10.0 ** random.uniform(2.75, 5.0)
        track = helix(random.uniform(-0.3, 0.3), radius, random.normal(0.0, 2.0), random.normal(0.0, 50.0))
        track += random.normal(0.0, random.choice([0.0, 0.01, 0.1]), track.shape)
        pieces = next_label + np.sort(random.integers(0, 3, len(track)))
        pieces[random.random(len(track)) < 0.3] = -1
        next_label += 3
        points.append(track)
        labels.append(pieces)
    order = random.permutation(noise + tracks * len(LAYERS))
    label = np.concatenate(labels)[order]
    _, numbered = np.unique(label, return_inverse=True)
    return np.concatenate(points)[order], (numbered - int((label < 0).any())).astype(np.int64)


@st.composite
def crowds(draw: st.DrawFn, seed: int) -> Crowd:
    """Helices as of `crowded`, of any size, and a working point of any reach and resolution."""
    points, labels = crowded(seed, draw(st.integers(0, 25)), draw(st.integers(0, 300)))
    features = features_of(points)
    features[:, [0, 2]] *= np.float32(draw(st.sampled_from([1e-30, 0.1, 1.0, 1.0, 1.0, 30.0, 1e12, 1e34])))
    cuts = replace(
        CUTS,
        completion_reach=draw(st.sampled_from([1.0, 100.0, 500.0, 3000.0, 1e5])),
        completion_sigmas=6.0,
        hit_resolution=draw(st.sampled_from([0.0, 0.013, 0.1])),
        strip_resolution=draw(st.sampled_from([0.0, 4.0, 100.0])),
        min_track_hits=1 + seed % 5,
    )
    return features, labels, cuts


def in_random_crowds(test: Callable[..., None]) -> Callable[..., None]:
    """The test, which takes `crowd`, in forty of them."""
    often = settings(
        max_examples=40, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    decorated: Callable[..., None] = often(given(crowd=st.integers(0, 2**31).flatmap(crowds))(test))
    return decorated
