"""Events as perf_analyzer gets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exatrkx.errors import ContractError
from exatrkx.events.event import features
from exatrkx.events.readers import read_events
from exatrkx_perf import EVENTS
from exatrkx_perf.command_line import list_of, positive, size_range
from exatrkx_perf.commands import make_input
from exatrkx_perf.errors import PerfError
from exatrkx_perf.events import EventSample, balanced_order, read_sample, write_input_file

if TYPE_CHECKING:
    import numpy.typing as npt


def read_back(path: Path) -> list[npt.NDArray[np.float32]]:
    """As perf_analyzer reads it: content and shape of each entry."""
    entries = json.loads(path.read_text())["data"]
    assert all(set(entry) == {"FEATURES"} for entry in entries)
    tensors = [entry["FEATURES"] for entry in entries]
    return [np.array(tensor["content"], dtype=np.float32).reshape(tensor["shape"]) for tensor in tensors]


def test_the_bundled_events_come_back_bit_by_bit(tmp_path: Path) -> None:
    sample = read_sample([EVENTS])
    write_input_file(sample, tmp_path / "deep" / "events.json")
    back = read_back(tmp_path / "deep" / "events.json")
    assert len(back) == 20
    for sent, read in zip(sample.arrays, back, strict=True):
        np.testing.assert_array_equal(sent, read)
    by_number = {array.tobytes() for array in (features(event) for event in read_events(EVENTS))}
    assert {array.tobytes() for array in back} == by_number


def test_events_of_0_and_1_spacepoints_are_events(tmp_path: Path) -> None:
    arrays = (np.zeros((0, 3), np.float32), np.full((1, 3), -0.1, np.float32))
    write_input_file(EventSample("two", arrays), tmp_path / "events.json")
    assert [array.shape for array in read_back(tmp_path / "events.json")] == [(0, 3), (1, 3)]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_feature_that_json_cannot_hold_is_refused_and_nothing_is_left(value: float, tmp_path: Path) -> None:
    array = np.zeros((4, 3), np.float32)
    array[2, 1] = value
    with pytest.raises(ContractError, match=r"FEATURES.*row 2, column 1"):
        write_input_file(EventSample("one", (array,)), tmp_path / "events.json")
    assert not (tmp_path / "events.json").exists()


@given(st.lists(st.integers(0, 10_000), max_size=70))
@settings(derandomize=True)
def test_balanced_order_has_every_event_once(sizes: list[int]) -> None:
    assert sorted(balanced_order(sizes)) == list(range(len(sizes)))


def test_in_balanced_order_every_part_has_the_mean_of_the_whole() -> None:
    sizes = [int(size) for size in np.random.default_rng(1).permutation(np.arange(1000, 1256))]
    ordered = np.array([sizes[i] for i in balanced_order(sizes)], dtype=float)
    for length in (16, 32, 100, 255):
        for start in range(0, 256 - length, 7):
            assert abs(ordered[start : start + length].mean() - 1127.5) < 12.0


def test_a_sample_is_cut_by_size_and_number() -> None:
    every = read_sample([EVENTS])
    some = read_sample([EVENTS], size=(1900, 2100))
    assert 0 < len(some) < len(every)
    assert all(1900 <= size <= 2100 for size in some.spacepoints)
    assert len(read_sample([EVENTS], limit=3)) == 3
    assert abs(len(every.nearest(2000)) - 2000) == min(abs(size - 2000) for size in every.spacepoints)


def test_no_event_left_is_an_error() -> None:
    with pytest.raises(PerfError, match="no events of 1 to 2 spacepoints"):
        read_sample([EVENTS], size=(1, 2))


def test_the_command_writes_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "events.json"
    assert make_input.main([str(EVENTS), "--limit", "2", "--output", str(target)]) == 0
    assert "2 events" in capsys.readouterr().out
    assert len(read_back(target)) == 2


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make_input.main([str(tmp_path / "none.parquet"), "--output", str(tmp_path / "events.json")]) == 2
    assert "none.parquet" in capsys.readouterr().err


def test_lists_and_ranges_of_the_command_line() -> None:
    assert list_of(positive)("1, 2,2,16") == (1, 2, 16)
    assert list_of(str, ("a", "b"))("b") == ("b",)
    assert size_range("1500:2500") == (1500, 2500)
    for reader, text in (
        (list_of(str, ("a",)), "c"),
        (list_of(positive), "0"),
        (list_of(positive), ","),
        (size_range, "2:1"),
    ):
        with pytest.raises(Exception, match=r"known are|at least 1|nothing|larger"):
            reader(text)
