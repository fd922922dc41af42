"""The files of results: written row by row, read back, and continued."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from perf_results import EVENT_MS, point, result, steps, write_folder

from exatrkx_perf.errors import ResultsError
from exatrkx_perf.points import Point
from exatrkx_perf.results import (
    COLUMNS,
    ResultsFolder,
    append_rows,
    cell,
    cells_of,
    columns_of,
    read_results,
    read_rows,
    read_steps,
)

NAMES = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])
"""What may be in the name of a file or of a model: no end of a line."""


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    store = ResultsFolder(tmp_path / "new")
    written = [result(point(concurrency=c, instances=0), 25.0) for c in (1, 2, 16)]
    for one in written:
        store.add(one)
    read = read_results(store.file)
    assert [one.point for one in read] == [one.point for one in written]
    assert [one.metadata for one in read] == [one.metadata for one in written]
    for before, after in zip(written, read, strict=True):
        for name, value in dataclasses.asdict(before.figures).items():
            again = getattr(after.figures, name)
            assert again == pytest.approx(value, rel=1e-5, nan_ok=True)
            assert type(again) is type(value)


def test_a_file_that_is_opened_again_knows_its_points(tmp_path: Path) -> None:
    at = point("exatrkx_ensemble", concurrency=4, repeat=1)
    ResultsFolder(tmp_path).add(result(at, 30.0))
    again = ResultsFolder(tmp_path)
    assert at in again
    for other in (
        at.at_repeat(2),
        point("exatrkx_custom", concurrency=4, repeat=1),
        point("exatrkx_ensemble", repeat=1),
    ):
        assert other not in again
    again.add(result(at.at_repeat(2), 30.0))
    assert len(read_results(tmp_path / "results.csv")) == 2
    assert (tmp_path / "results.csv").read_text().count("events_per_s") == 1, "one header"


@pytest.mark.parametrize("kept", [1, 10, 60])
def test_a_row_that_was_cut_off_is_measured_again(kept: int, tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    store = ResultsFolder(tmp_path)
    points = [point(concurrency=c) for c in (1, 2)]
    for at in points:
        store.add(result(at, 25.0))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]) + lines[-1][:kept])
    again = ResultsFolder(tmp_path)
    assert points[0] in again
    assert points[1] not in again
    again.add(result(points[1], 25.0))
    assert [one.point for one in read_results(path)] == points


def test_a_file_whose_header_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text("model,backe")
    with pytest.raises(ResultsError, match="no column model"):
        ResultsFolder(tmp_path)


def test_an_empty_file_is_begun(tmp_path: Path) -> None:
    (tmp_path / "results.csv").touch()
    ResultsFolder(tmp_path).add(result(point(), 25.0))
    assert len(read_results(tmp_path / "results.csv")) == 1


def test_another_machine_is_refused(tmp_path: Path) -> None:
    store = ResultsFolder(tmp_path)
    store.check_machine("any")
    store.add(result(point(), 25.0, machine="mine"))
    store.check_machine("mine")
    with pytest.raises(ResultsError, match=r"another machine \(mine\)"):
        store.check_machine("yours")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "no column model"),
        (",".join(COLUMNS) + "\n" + ",".join("x" for _ in COLUMNS) + "\n", "results.csv:2"),
        (",".join(COLUMNS) + "\nexatrkx_custom\n", "results.csv:2"),
    ],
)
def test_what_is_no_results_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text(text)
    with pytest.raises(ResultsError, match=message):
        read_results(tmp_path / "results.csv")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"results\.csv: No such file"):
        read_results(tmp_path / "results.csv")


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
        model=st.text(NAMES, min_size=1),
        backends=st.text(NAMES),
        concurrency=st.integers(0, 99),
        threads=st.integers(0, 9),
        sample=st.text(NAMES),
    )
)
@settings(derandomize=True)
def test_a_point_is_its_row(at: Point) -> None:
    row = cells_of(at)
    assert tuple(row) == columns_of(Point)
    assert tuple(row.values()) == at.key()
    with tempfile.TemporaryDirectory() as folder:
        append_rows(Path(folder) / "points.csv", [row])
        assert read_rows(Path(folder) / "points.csv", "points", Point) == [(at,)]


def test_steps_come_back_and_the_last_of_a_point_counts(tmp_path: Path) -> None:
    at = point("exatrkx_ensemble")
    store = ResultsFolder(tmp_path)
    store.add(result(at, 99.0), steps(at, 99.0))
    store.add(result(at, 50.0), steps(at, 50.0))
    with (tmp_path / "steps.csv").open("a") as stream:
        stream.write("exatrkx_ensemble,cut o")
    store.add(result(at.at_repeat(1), 50.0), steps(at, 50.0))
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
