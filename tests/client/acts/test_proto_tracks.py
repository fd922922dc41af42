"""Proto-tracks of labels, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("acts")

from exatrkx_acts.proto_tracks import proto_tracks


def made(labels: list[int], r: list[float], measurements: list[tuple[int, ...]] | None = None) -> list[list[int]]:
    each = measurements or [(10 + spacepoint,) for spacepoint in range(len(labels))]
    return proto_tracks(np.asarray(labels, dtype=np.int64), np.asarray(r, dtype=np.float32), each)


def test_no_spacepoints() -> None:
    assert made([], []) == []


def test_nothing_but_noise() -> None:
    assert made([-1], [30.0]) == made([-1, -1, -1], [30.0, 70.0, 110.0]) == []


def test_one_track_outwards() -> None:
    assert made([0, 0, 0], [110.0, 30.0, 70.0]) == [[11, 12, 10]]


def test_tracks_by_their_label() -> None:
    assert made([0, -1, 1, 0, 1, 0, 1], [70.0, 1.0, 33.0, 30.0, 71.0, 110.0, 32.0]) == [[13, 10, 15], [16, 12, 14]]


def test_equal_radii_keep_the_order_of_the_spacepoints() -> None:
    assert made([0, 0, 0], [50.0, 50.0, 50.0]) == [[10, 11, 12]]


def test_both_sides_of_a_strip_module_and_each_once() -> None:
    pairs: list[tuple[int, ...]] = [(1, 2), (5,), (1, 3)]
    assert made([0, 0, 0], [30.0, 10.0, 40.0], pairs) == [[5, 1, 2, 3]]
