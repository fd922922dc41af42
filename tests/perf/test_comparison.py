"""Ratios and tables from saved results."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from perf_results import EVENT_MS, point, result, write_folder

from exatrkx_perf.commands import compare
from exatrkx_perf.comparison import (
    Repeats,
    all_series,
    configurations,
    figure_ratio,
    gather,
    plain,
    saturation,
    single_client,
)
from exatrkx_perf.median_range import MedianRange, ratio
from exatrkx_perf.points import DIRECT, Configuration
from exatrkx_perf.results import Result, results_in, steps_in
from exatrkx_perf.tables import comparison_text, short, steps_text, table

TIMES = st.lists(st.floats(1.0, 1e3), min_size=1, max_size=9)


@given(TIMES)
@settings(derandomize=True)
def test_a_range_holds_its_values(values: list[float]) -> None:
    found = MedianRange.of([*values, math.nan])
    assert found is not None
    assert (found.low, found.high, found.number) == (min(values), max(values), len(values))
    assert found.low <= found.median <= found.high


def test_nothing_measured_has_no_range() -> None:
    assert MedianRange.of([]) is None
    assert MedianRange.of([math.nan]) is None
    assert ratio({}, {0: 1.0}, paired=True) is None


@given(TIMES, st.floats(0.1, 10.0))
@settings(derandomize=True)
def test_a_drift_that_both_meet_cancels_in_pairs(drift: list[float], true_ratio: float) -> None:
    below = dict(enumerate(drift))
    above = {repeat: true_ratio * value for repeat, value in below.items()}
    found = ratio(above, below, paired=True)
    assert found is not None
    assert found.low == pytest.approx(true_ratio)
    assert found.high == pytest.approx(true_ratio)


def test_what_was_not_measured_in_turn_is_compared_all_with_all() -> None:
    found = ratio({0: 1.0, 1: 2.0}, {0: 1.0, 1: 4.0}, paired=False)
    assert found == MedianRange(0.75, 0.25, 2.0, 4)
    assert ratio({0: 3.0}, {5: 2.0}, paired=True) == MedianRange(1.5, 1.5, 1.5, 1)


def test_median_and_range_as_text() -> None:
    assert f"{MedianRange(1.25, 1.0, 1.5, 3):.1f}" == "1.2 (1.0 – 1.5)"
    assert f"{MedianRange(1.25, 1.25, 1.25, 1):.2f}" == "1.25"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("results")
    write_folder(path)
    return path


@pytest.fixture(scope="module")
def results(folder: Path) -> list[Result]:
    return results_in([folder])


@pytest.fixture(scope="module")
def every(results: list[Result]) -> list[Repeats]:
    return plain(gather(results))


def test_models_come_in_the_order_in_which_one_explains_them(every: list[Repeats]) -> None:
    assert [short(series) for series in all_series(every)] == ["direct", "custom (compiled)", "ensemble (python)"]
    assert configurations(every) == [Configuration(instances=1), Configuration(instances=2)]


def test_saturation_is_where_the_median_is_largest(every: list[Repeats]) -> None:
    for series in all_series(every):
        best = saturation(every, series)
        assert best is not None
        assert best.point.instances == 2
        assert best.median("events_per_s") == pytest.approx(2e3 / EVENT_MS[series.model], rel=1e-4)
        alone = single_client(every, series, threads=1)
        assert alone is not None
        assert (alone.point.concurrency, alone.point.instances) == (1, 1)
        assert alone.median("mean_ms") == pytest.approx(EVENT_MS[series.model], rel=1e-4)
        assert single_client(every, series, threads=7) is None


def test_ratios_are_free_of_the_drift_that_all_repeats_had(every: list[Repeats]) -> None:
    direct, custom, ensemble = (saturation(every, series) for series in all_series(every))
    for above, below, expected in ((ensemble, custom, 0.5), (custom, direct, 0.8)):
        found = figure_ratio(above, below, "events_per_s")
        assert found is not None
        assert [found.low, found.high] == pytest.approx([expected, expected], rel=1e-4)
    assert figure_ratio(None, custom, "events_per_s") is None


def test_the_text_has_every_ratio(results: list[Result]) -> None:
    text = comparison_text(results)
    assert "throughput ensemble (python) / custom (compiled): 0.50 (0.50 – 0.50)" in text
    assert "throughput custom (compiled) / direct: 0.80 (0.80 – 0.80)" in text
    assert "| 2 × 1 " in text
    assert "ms with one client, threads" in text
    assert "a machine" in text
    assert "shared memory" not in text, "nothing else than the plain way was measured"


def test_other_ways_of_calling_have_a_table_of_their_own(results: list[Result]) -> None:
    more = [*results, result(point("exatrkx_custom", protocol="http", mode="async", shared_memory="system"), 30.0)]
    text = comparison_text(more)
    assert "|     http | async |        system |" in text


def test_a_backend_of_ones_own_is_compared_with_ours(results: list[Result]) -> None:
    mine = [result(point("mine", instances=0, threads=0, concurrency=c), 40.0) for c in (1, 4)]
    text = comparison_text([*results, *mine])
    assert "throughput mine / ensemble (python): 1.25" in text
    assert "throughput mine / custom (compiled): 0.62" in text
    assert "| as found " in text


def test_samples_stand_below_each_other() -> None:
    def of(sample: str, times: dict[str, float]) -> list[Result]:
        ways = ((1, 1), (2, 4))
        return [
            result(point(model, sample=sample, instances=i, concurrency=c), ms)
            for model, ms in times.items()
            for i, c in ways
        ]

    few = of("few", {"exatrkx_custom": 20.0, "exatrkx_ensemble": 25.0})
    many = of("many", {"exatrkx_custom": 2_000.0, "exatrkx_ensemble": 2_000.0})
    lines = comparison_text([*few, *many]).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith(("| few", "| many"))]
    assert cells[:2] == [["few", "100", "80", "0.80"], ["many", "1", "1", "1.00"]]
    assert cells[2:4] == [["few", "20", "25", "1.25"], ["many", "2e+03", "2e+03", "1.00"]]
    assert sum(line.startswith("- events: 20 of ") for line in lines) == 2
    assert not any("highest throughput" in line for line in lines), "of which sample?"


def test_one_model_alone_has_no_ratios() -> None:
    text = comparison_text([result(point(DIRECT), 20.0)])
    assert "50.0" in text
    assert " / direct" not in text


def test_steps_of_all_repeats_are_averaged(folder: Path) -> None:
    text = steps_text(steps_in([folder]))
    assert text.count("unexplained") == 8, "of the ensemble's six points and the direct pipeline's two"
    assert "gnn" in text


def test_a_table_lines_up_and_none_is_drawn_without_rows() -> None:
    lines = table(["a", "bb"], [["x", "1"], ["long", "100"]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert table(["a"], []) == ""


def test_the_command_prints_and_writes(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare.main([str(folder / "results.csv"), "--output", str(tmp_path), "--no-plots"]) == 0
    printed = capsys.readouterr().out
    written = (tmp_path / "comparison.md").read_text()
    assert "throughput ensemble (python) / custom (compiled): 0.50" in printed
    assert "throughput ensemble (python) / custom (compiled): 0.50" in written


def test_the_command_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare.main([str(tmp_path)]) == 2
    assert "results.csv: No such file" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        compare.main(["--url", "127.0.0.1:8001"])
    assert "belong together" in capsys.readouterr().err
