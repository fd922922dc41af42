"""Deadline of a request in its parameters, against Python's own reader of JSON."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exatrkx.errors import OverdueError
from exatrkx.serving.limits import DEADLINE, check_deadline

DISTANT_US = 10**18
NAMES = st.sampled_from([DEADLINE, f"not_{DEADLINE}", "sequence_id", "a"])
TEXTS = st.text(max_size=20) | st.sampled_from([f'"{DEADLINE}":1', f'"{DEADLINE}":1,', f"{DEADLINE}"])
VALUES = st.integers(-1, 1) | st.just(DISTANT_US) | TEXTS | st.floats(-1.0, 1.0) | st.booleans()


def is_overdue(parameters: str) -> bool:
    deadline = json.loads(parameters).get(DEADLINE)
    return type(deadline) is int and time.time() > deadline / 1e6


@given(st.dictionaries(NAMES, VALUES))
@settings(derandomize=True)
@example({DEADLINE: 1})
@example({DEADLINE: DISTANT_US, "a": f'"{DEADLINE}":1,'})
def test_a_deadline_is_found_where_it_is_one(parameters: dict[str, object]) -> None:
    text = json.dumps(parameters, separators=(",", ":"))  # as Triton writes them
    if is_overdue(text):
        with pytest.raises(OverdueError, match=f"{DEADLINE}: the deadline passed"):
            check_deadline(text)
    else:
        check_deadline(text)
