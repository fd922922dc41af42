"""Tracks that share spacepoints become one label for each spacepoint."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exatrkx.ckf.labels import label_spacepoints

NUM_SPACEPOINTS = 12

TRACKS = st.lists(st.lists(st.integers(0, NUM_SPACEPOINTS - 1), unique=True, max_size=8), max_size=8)


def labels_one_by_one(tracks: list[list[int]], num_spacepoints: int) -> list[int]:
    """The same, asked of each spacepoint in turn."""
    names: dict[int, int] = {}
    labels = []
    for spacepoint in range(num_spacepoints):
        having = [index for index, track in enumerate(tracks) if spacepoint in track]
        if not having:
            labels.append(-1)
            continue
        longest = max(len(tracks[index]) for index in having)
        owner = next(index for index in having if len(tracks[index]) == longest)
        labels.append(names.setdefault(owner, len(names)))
    return labels


@pytest.mark.parametrize(
    ("tracks", "num_spacepoints", "expected"),
    [
        ([], 0, []),
        ([], 3, [-1, -1, -1]),
        ([[]], 2, [-1, -1]),
        ([[0]], 1, [0]),
        ([[4, 3], [0, 1]], 5, [0, 0, -1, 1, 1]),
        ([[0, 1], [1, 2, 3]], 4, [0, 1, 1, 1]),
        ([[0, 1], [1, 2]], 3, [0, 0, 1]),
        ([[1, 2], [2, 1], [0, 1, 2]], 3, [0, 0, 0]),
    ],
)
def test_by_hand(tracks: list[list[int]], num_spacepoints: int, expected: list[int]) -> None:
    found = label_spacepoints(tracks, num_spacepoints)
    assert found.dtype == np.int64
    assert found.tolist() == expected


@given(TRACKS)
@settings(derandomize=True, deadline=None, max_examples=300)
def test_as_one_by_one(tracks: list[list[int]]) -> None:
    assert label_spacepoints(tracks, NUM_SPACEPOINTS).tolist() == labels_one_by_one(tracks, NUM_SPACEPOINTS)
