"""The files of results: written row by row, read back, and continued."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from perf_results import EVENT_MS, point, result, steps, write_folder

from exatrkx_perf.errors import ResultsError
from exatrkx_perf.point import Point, point_columns, point_from_row
from exatrkx_perf.results import COLUMNS, ResultsFile, cell, read_results
from exatrkx_perf.step_file import add_steps, read_steps


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    store = ResultsFile(tmp_path / "new" / "results.csv")
    written = [result(point(concurrency=c, instances=0), 25.0) for c in (1, 2, 16)]
    for one in written:
        store.add(one)
    read = read_results(store.path)
    assert [one.point for one in read] == [one.point for one in written]
    assert [one.circumstances for one in read] == [one.circumstances for one in written]
    for before, after in zip(written, read, strict=True):
        for name, value in dataclasses.asdict(before.figures).items():
            again = getattr(after.figures, name)
            assert again == pytest.approx(value, rel=1e-5, nan_ok=True)
            assert type(again) is type(value)


def test_a_file_that_is_opened_again_knows_its_points(tmp_path: Path) -> None:
    at = point("exatrkx_ensemble", concurrency=4, repeat=1)
    ResultsFile(tmp_path / "r.csv").add(result(at, 30.0))
    again = ResultsFile(tmp_path / "r.csv")
    assert at in again
    for other in (
        at.at_repeat(2),
        point("exatrkx_custom", concurrency=4, repeat=1),
        point("exatrkx_ensemble", repeat=1),
    ):
        assert other not in again
    again.add(result(at.at_repeat(2), 30.0))
    assert len(read_results(tmp_path / "r.csv")) == 2
    assert (tmp_path / "r.csv").read_text().count("events_per_s") == 1, "one header"


@pytest.mark.parametrize("kept", [1, 10, 60])
def test_a_row_that_was_cut_off_is_measured_again(kept: int, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    store = ResultsFile(path)
    points = [point(concurrency=c) for c in (1, 2)]
    for at in points:
        store.add(result(at, 25.0))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]) + lines[-1][:kept])
    again = ResultsFile(path)
    assert points[0] in again
    assert points[1] not in again
    again.add(result(points[1], 25.0))
    assert [one.point for one in read_results(path)] == points


def test_a_file_whose_header_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("model,backe")
    with pytest.raises(ResultsError, match="no column model"):
        ResultsFile(path)


def test_an_empty_file_is_begun(tmp_path: Path) -> None:
    (tmp_path / "r.csv").touch()
    ResultsFile(tmp_path / "r.csv").add(result(point(), 25.0))
    assert len(read_results(tmp_path / "r.csv")) == 1


def test_another_machine_is_refused(tmp_path: Path) -> None:
    store = ResultsFile(tmp_path / "r.csv")
    store.check_machine("any")
    store.add(result(point(), 25.0, machine="mine"))
    store.check_machine("mine")
    with pytest.raises(ResultsError, match=r"another machine \(mine\)"):
        store.check_machine("yours")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "no column model"),
        (",".join(COLUMNS) + "\n" + ",".join("x" for _ in COLUMNS) + "\n", "r.csv:2"),
        (",".join(COLUMNS) + "\nexatrkx_custom\n", "r.csv:2"),
    ],
)
def test_what_is_no_results_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(ResultsError, match=message):
        read_results(tmp_path / "r.csv")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"r\.csv: No such file"):
        read_results(tmp_path / "r.csv")


def test_numbers_in_a_cell() -> None:
    assert [cell(value) for value in (math.nan, 1.0, 0.000123456789, 12, "a, b")] == [
        "",
        "1",
        "0.000123457",
        "12",
        "a, b",
    ]


@given(
    st.builds(
        Point,
        model=st.text(min_size=1),
        backends=st.text(),
        concurrency=st.integers(0, 99),
        threads=st.integers(0, 9),
        sample=st.text(),
    )
)
@settings(derandomize=True)
def test_a_point_is_its_row(at: Point) -> None:
    row = {name: cell(getattr(at, name)) for name in point_columns()}
    assert point_from_row(row) == at
    assert tuple(row.values()) == at.key()


def test_steps_come_back_and_the_last_of_a_point_counts(tmp_path: Path) -> None:
    at = point("exatrkx_ensemble")
    add_steps(tmp_path / "steps.csv", at, steps(at, 99.0))
    add_steps(tmp_path / "steps.csv", at, steps(at, 50.0))
    with (tmp_path / "steps.csv").open("a") as stream:
        stream.write("exatrkx_ensemble,cut o")
    add_steps(tmp_path / "steps.csv", at.at_repeat(1), steps(at, 50.0))
    read = read_steps(tmp_path / "steps.csv")
    assert len(read) == 2 * 7
    for entry, expected in zip(read[:7], steps(at, 50.0), strict=True):
        assert entry.time.step == expected.step
        assert entry.time.total_ms == pytest.approx(expected.total_ms, rel=1e-5)


def test_a_file_of_other_steps_is_refused(tmp_path: Path) -> None:
    (tmp_path / "steps.csv").write_text("step\nembed\n")
    with pytest.raises(ResultsError, match="not a file of step times"):
        read_steps(tmp_path / "steps.csv")


def test_the_folder_for_the_other_tests_is_whole(tmp_path: Path) -> None:
    write_folder(tmp_path)
    assert {one.point.model for one in read_results(tmp_path / "results.csv")} == set(EVENT_MS)
