"""The event: how it is shown, and the rank of hits along their particles."""

from __future__ import annotations

import handmade
import numpy as np
import pytest

from exatrkx.events.event import Event, order_within


def test_an_event_is_shown_in_a_few_words() -> None:
    bare = Event(event_id=7, x=np.zeros(3, np.float32), y=np.zeros(3, np.float32), z=np.zeros(3, np.float32))
    assert repr(bare) == "Event(7: 3 spacepoints, no truth)"
    event = handmade.event(4, [[0, 1, 2], [2]])
    assert repr(event) == f"Event({event.event_id}: 4 spacepoints, 2 particles)"
    assert repr(event.truth) == "Truth(4 hits of 2 particles)"


@pytest.mark.parametrize(
    ("group", "key", "order"),
    [
        ([], [], []),
        ([5], [0], [0]),
        ([2, 0, 2, 2, 0], [3.0, 1.0, -1.0, 2.0, 0.0], [2, 1, 0, 1, 0]),
        ([1, 1, 1], [4.0, 4.0, 4.0], [0, 1, 2]),
    ],
)
def test_order_within_a_group_is_the_rank_of_its_key(group: list[int], key: list[float], order: list[int]) -> None:
    assert order_within(np.array(group, np.int64), np.array(key)).tolist() == order
