"""Events as perf_analyzer gets them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from extra_columns import POINT, extra_event
from hypothesis import given, settings
from hypothesis import strategies as st

from exatrkx.errors import ContractError, ExitCode, MissingColumnError
from exatrkx.events.event import features
from exatrkx.events.parquet_writer import write_events
from exatrkx.events.readers import read_events
from exatrkx.working_point import WEIGHTS_DIR, WorkingPoint
from exatrkx_client.address import Address
from exatrkx_perf import EVENTS
from exatrkx_perf.command_line import list_of, positive, size_range
from exatrkx_perf.commands import direct, make_input, sweep
from exatrkx_perf.errors import PerfError
from exatrkx_perf.events import EventSample, balanced_order, features_of_server, read_sample, write_input_file
from exatrkx_perf.results import read_results
from exatrkx_perf.stage_inputs import from_events

if TYPE_CHECKING:
    import numpy.typing as npt

    from exatrkx_server import TritonServer


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


@pytest.fixture
def extra_events(tmp_path: Path) -> Path:
    """A file of two events with the columns that `five_column_repository` takes, in another order and scaling."""
    write_events(tmp_path / "extra.parquet", [extra_event(7), extra_event(9, 12)])
    return tmp_path / "extra.parquet"


def sent_of(file: Path) -> set[bytes]:
    return {features(event, POINT.extra).tobytes() for event in read_events(file)}


def test_columns_are_those_of_the_repository(
    five_column_repository: Path, extra_events: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, networks = tmp_path / "events.json", ["--model-repository", str(five_column_repository)]
    assert make_input.main([str(extra_events), *networks, "--output", str(target)]) == ExitCode.DONE
    assert {array.tobytes() for array in read_back(target)} == sent_of(extra_events)
    target.unlink()
    assert make_input.main([str(EVENTS), *networks, "--output", str(target)]) == ExitCode.USAGE
    assert "column 'charge', 'count' is missing: the networks take charge/100, count" in capsys.readouterr().err
    assert not target.exists()
    assert make_input.main([str(extra_events), "--output", str(target)]) == ExitCode.DONE
    assert {array.shape[1] for array in read_back(target)} == {3}, "as this project's networks take them"


@pytest.mark.server
def test_columns_are_those_of_the_server(
    five_column_server: TritonServer, extra_events: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "events.json"
    for url in (five_column_server.grpc_url, five_column_server.http_url):
        words = [str(extra_events), "--url", url, "--output", str(target)]
        assert make_input.main([*words, "--model", "exatrkx_custom"]) == ExitCode.DONE
        assert {array.tobytes() for array in read_back(target)} == sent_of(extra_events)
    assert make_input.main([*words, "--model", "nothing"]) == ExitCode.SERVER
    assert "nothing" in capsys.readouterr().err
    address = Address.parse(five_column_server.grpc_url)
    with pytest.raises(PerfError, match=r"exatrkx_ensemble takes 5 columns .*, and wcc takes 5 .*: .* 2 more"):
        features_of_server(address, ["exatrkx_ensemble", "wcc"])


@pytest.mark.slow
def test_the_direct_pipeline_and_a_sweep_take_them(
    five_column_repository: Path, extra_events: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    networks = ["--model-repository", str(five_column_repository)]
    words = [*networks, "--workers", "1", "--rounds", "1"]
    assert direct.main([str(extra_events), *words]) == ExitCode.DONE
    assert "1 processes" in capsys.readouterr().out
    words = [*networks, "--models", "direct", "--repeats", "1", "--concurrency", "1", "--threads", "1"]
    words += ["--output", str(tmp_path / "out")]
    assert sweep.main([str(extra_events), *words]) == ExitCode.DONE
    assert {array.tobytes() for array in read_back(tmp_path / "out" / "events.json")} == sent_of(extra_events)
    assert len(read_results(tmp_path / "out" / "results.csv")) == 1
    assert sweep.main([str(EVENTS), *words]) == ExitCode.USAGE
    assert "column 'charge', 'count' is missing" in capsys.readouterr().err


@pytest.mark.slow
def test_the_stages_take_those_of_their_working_point(extra_events: Path, tmp_path: Path) -> None:
    for path in WEIGHTS_DIR.glob("*.safetensors"):
        (tmp_path / path.name).symlink_to(path)
    point = replace(WorkingPoint.load(WEIGHTS_DIR / "working_point.json"), extra_features=POINT.extra_features)
    (tmp_path / "working_point.json").write_text(point.to_json())
    (found,) = from_events([extra_events], [50], tmp_path)
    assert found.features is not None
    assert found.features.tobytes() in sent_of(extra_events)
    with pytest.raises(MissingColumnError, match="column 'charge', 'count' is missing"):
        from_events([EVENTS], [50], tmp_path)
