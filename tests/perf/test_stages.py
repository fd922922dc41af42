"""`perf/stages.py`: what it measures, compares, derives and writes, on tiny events and without a clock."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from exatrkx.stages import native
from exatrkx.working_point import WEIGHTS_DIR
from exatrkx_perf import EVENTS, stage_benchmark, stage_inputs, stage_methods
from exatrkx_perf.commands import stages
from exatrkx_perf.results import columns_of
from exatrkx_perf.stage_benchmark import same_candidates
from exatrkx_perf.stage_inputs import STAND_IN, from_events, stand_in
from exatrkx_perf.stage_rows import Row, csv_of, growth_text, limits_text, power, report, stage_goals, with_growth
from exatrkx_perf.timing import Measurement, measure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    IntArray = npt.NDArray[np.int64]

pytestmark = pytest.mark.slow

OURS = "exatrkx native"
needs_native = pytest.mark.skipif(not native.available(), reason="the compiled stages are not built")


@pytest.fixture
def called_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods are called once and in this process; that they are timed in others is another test's."""

    def once(_repeats: int, call: Callable[..., Any], *arguments: object) -> tuple[Measurement, Any]:
        return Measurement(repeats=1, wall_ms=2.0, cpu_ms=2.0, best_ms=2.0, peak_mib=1.0), call(*arguments)

    monkeypatch.setattr(stage_benchmark, "measure", once)


def run(tmp_path: Path, *arguments: str | Path) -> tuple[int, list[dict[str, str]], str]:
    """Exit code, rows of the CSV file and text of the Markdown file."""
    output = tmp_path / "new" / "stages.csv"
    code = stages.main([*map(str, arguments), "--threads", "2", "--output", str(output)])
    with output.open(newline="") as file:
        return code, list(csv.DictReader(file)), output.with_suffix(".md").read_text()


def row(**changes: object) -> Row:
    values: dict[str, object] = dict.fromkeys(columns_of(Row), "") | {
        "stage": "neighbours",
        "method": OURS,
        "threads": 2,
        "spacepoints": 1_000,
        "edges": 9_000,
        "wall_ms": 10.0,
        "cpu_ms": 10.0,
        "peak_mib": 5.0,
        "same_answer": True,
        "speed_up": 4.5,
        "n_power": math.nan,
        "size_power": math.nan,
        **dict.fromkeys(("operators", "waits", "gflop", "gbyte", "product_gflop_s", "copy_gbyte_s"), math.nan),
        "load": 0.1,
    }
    return Row(**(values | changes))  # type: ignore[arg-type]  # by name


@pytest.mark.usefixtures("called_once")
class TestCommand:
    @needs_native
    def test_a_stand_in(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        code, rows, text = run(tmp_path, "--sizes", "120", "60", "--edges-per-spacepoint", "5")
        assert code == 0
        assert list(rows[0]) == list(columns_of(Row))
        assert {(one["stage"], one["method"]) for one in rows} >= {
            ("neighbours", "cKDTree.query_pairs"),
            ("neighbours", OURS),
            ("neighbours", "scikit-learn kd_tree"),
            ("edges", OURS),
            ("components", "csgraph"),
            ("components", OURS),
            ("contraction", OURS),
        }
        assert not {"embed", "filter", "gnn"} & {one["stage"] for one in rows}, "a stand-in has no features"
        assert list(dict.fromkeys(one["spacepoints"] for one in rows)) == ["60", "120"], "the smallest first"
        searches = {(one["method"], one["threads"]) for one in rows if one["stage"] == "neighbours"}
        assert {("cKDTree.query_pairs", "1"), (OURS, "1"), (OURS, "2")} <= searches
        assert {one["same_answer"] for one in rows} == {"True"}
        assert {one["input"] for one in rows} == {STAND_IN}
        assert all(one["machine"] and "numpy" in one["versions"] and one["commit"] for one in rows)
        assert all(float(one["peak_mib"]) > 0.0 for one in rows)
        # As long for twice the points: the power is 0; the smallest event has none.
        assert {one["n_power"] for one in rows} == {"", "0.0"}
        printed = capsys.readouterr().out
        assert f"{OURS:21}       2          60" in printed
        assert "power of N + E" in printed
        assert "answers that differ from the reference" in printed
        for wanted in ("## neighbours", "## components", "## Growth", "peak MiB", "- machine:", "- commit:"):
            assert wanted in text

    def test_a_simulated_event_passes_every_stage(self, tmp_path: Path) -> None:
        code, rows, _ = run(tmp_path, EVENTS, "--sizes", "1", "2")
        assert code == 0
        assert len({one["spacepoints"] for one in rows}) == 1, "the event nearest to both sizes is measured once"
        networks = {(one["stage"], one["method"], one["threads"]) for one in rows}
        assert {("embed", "network", "2"), ("filter", "in one block", "1"), ("gnn", "network", "1")} <= networks
        of_stage = {one["stage"]: int(one["edges"]) for one in rows}
        assert of_stage["embed"] == 0
        assert of_stage["neighbours"] >= of_stage["filter"] == of_stage["edges"] > of_stage["gnn"] > 0
        assert of_stage["gnn"] == of_stage["components"]
        assert {one["threads"] for one in rows if one["stage"] == "pipeline"} == {"1", "2"}
        counted = {one["stage"] for one in rows if one["operators"]}
        assert counted == {"embed", "filter", "gnn"}
        assert all(float(one["gbyte"]) > 0.0 for one in rows)
        assert all("of ttbar_mu0.parquet" in one["input"] for one in rows)

    @pytest.mark.parametrize("lost", [0, -1])
    def test_a_search_that_loses_an_edge(
        self, lost: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def lossy(embedding: npt.NDArray[np.float32], radius: float, threads: int) -> IntArray:
            return np.delete(stage_methods.ckdtree(embedding, radius, threads), lost, axis=1)

        monkeypatch.setitem(stage_methods.METHODS["neighbours"], "lossy", lossy)
        code, rows, text = run(tmp_path, "--sizes", "60", "--edges-per-spacepoint", "5")
        assert code == 1
        assert {one["method"] for one in rows if one["same_answer"] == "False"} == {"lossy"}
        assert "NO" in capsys.readouterr().out
        assert "NO" in text
        first = stage_goals([row(same_answer=False)])[0]
        assert (first.name, first.verdict) == ("answers that differ from the reference", "no")

    def test_labels_of_other_tracks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def all_one(_edges: object, _scores: object, num_nodes: int, _cut: float, _threads: int) -> IntArray:
            return np.zeros(num_nodes, dtype=np.int64)

        monkeypatch.setitem(stage_methods.METHODS["components"], "all one", all_one)
        code, rows, _ = run(tmp_path, "--sizes", "60", "--edges-per-spacepoint", "5")
        assert code == 1
        assert {one["method"] for one in rows if one["same_answer"] == "False"} == {"all one"}

    def test_a_network_that_scores_otherwise(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        scores = stage_inputs.run

        def biased(call: Any, features: Any, edge_index: Any) -> Any:
            return scores(call, features, edge_index) + 0.1 * call.one_block

        monkeypatch.setattr(stage_inputs, "run", biased)
        code, rows, _ = run(tmp_path, EVENTS, "--sizes", "1")
        assert code == 1
        differing = {(one["stage"], one["method"]) for one in rows if one["same_answer"] == "False"}
        assert differing == {("filter", "network"), ("gnn", "network")}, "the reference is the first of a stage"

    def test_searches_that_are_left_out_of_large_events(self, tmp_path: Path) -> None:
        _, rows, _ = run(tmp_path, "--sizes", "60", "--edges-per-spacepoint", "5", "--largest-for-others", "50")
        assert not stage_methods.SLOW_SEARCHES & {one["method"] for one in rows}


def test_files_that_are_no_events(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "events.parquet").write_bytes(b"nothing")
    assert stages.main([str(tmp_path / "events.parquet")]) == 2
    assert capsys.readouterr().err.startswith("stages.py: ")


def test_a_call_is_measures_in_another_process() -> None:
    measured, answer = measure(3, np.ones, 1 << 20)
    assert answer.shape == (1 << 20,)
    assert 1 <= measured.repeats <= 3
    assert 0.0 < measured.best_ms <= measured.wall_ms
    assert measured.peak_mib > 6.0, "eight megabytes were written"


def test_the_radius_for_so_many_edges() -> None:
    few, many = (stand_in(200, edges, seed=1) for edges in (2.0, 8.0))
    assert few.radius < many.radius
    found = stage_methods.ckdtree(many.embedding, many.radius, 1)
    assert found.shape[1] / 200 == pytest.approx(8.0, rel=0.05)
    (event,) = from_events([EVENTS], [1], WEIGHTS_DIR, 3.0)
    edges = stage_methods.ckdtree(event.embedding, event.radius, 1).shape[1]
    assert edges / len(event.embedding) == pytest.approx(3.0, rel=0.05)


def test_candidates_are_the_same_whatever_they_are_called() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    assert same_candidates(labels, np.array([7, 7, 7, 5, 5, 5, 1, 2])), "two spacepoints are no candidate"
    assert same_candidates(labels, np.array([0, 0, 0, 1, 1, 1, -1, -1]))
    assert not same_candidates(labels, np.array([0, 0, 0, 0, 1, 1, 1, 1]))


class TestGrowth:
    def test_in_points_and_in_what_is_read_or_written(self) -> None:
        # Ten times the points, a hundred times the edges, a hundred times as long.
        large = row(spacepoints=10_000, edges=990_000, wall_ms=1_000.0)
        small, middle, big = with_growth([row(), row(spacepoints=2_000, edges=18_000, wall_ms=20.0), large])
        assert math.isnan(small.n_power)
        assert (middle.n_power, middle.size_power) == (1.0, 1.0)
        assert (big.n_power, big.size_power) == (2.0, 1.0)

    def test_each_series_has_its_own_smallest(self) -> None:
        other = row(method="csgraph", spacepoints=4_000)
        assert all(math.isnan(one.n_power) for one in with_growth([row(), other]))

    @pytest.mark.parametrize("figures", [(1.0, 1.0, 5, 5), (1.0, 0.0, 10, 5), (1.0, 1.0, 5, 0)])
    def test_what_has_no_power(self, figures: tuple[float, float, int, int]) -> None:
        assert math.isnan(power(*figures))

    def test_no_table_of_one_size(self) -> None:
        assert growth_text(with_growth([row()])) == ""


class TestGoals:
    ROWS = (
        row(),
        row(spacepoints=10_000, edges=190_000, wall_ms=200.0, speed_up=4.5),
        row(stage="components", threads=1, spacepoints=10_000, speed_up=0.4),
        row(
            stage="gnn",
            method="network",
            threads=1,
            spacepoints=10_000,
            speed_up=1.7,
            peak_mib=300.0,
            wall_ms=100.0,
            gflop=2.0,
            product_gflop_s=60.0,
        ),
        row(stage="pipeline", method="direct", threads=1),
        row(stage="pipeline", method="direct", threads=1, spacepoints=10_000, edges=190_000, wall_ms=100.0),
    )

    def test_they_are_those_of_the_largest_event(self) -> None:
        found = {one.name: one for one in stage_goals(with_growth(self.ROWS))}
        search = "neighbours, 10,000 spacepoints, 2 threads: "
        faster = found[f"{search}cKDTree.query_pairs / ours, time"]
        assert (faster.measured.median, faster.asked, faster.verdict) == (4.5, "at least 4", "yes")
        by_points = found[f"{search}time grows as N to the power"]
        assert (by_points.measured.median, by_points.asked, by_points.verdict) == (1.301, "at most 1.2", "no")
        by_size = found[f"{search}time grows as N + E to the power"]
        assert (by_size.measured.median, by_size.verdict) == (1.0, "–")
        assert found[f"{search}N + E grows as N to the power"].measured.median == pytest.approx(1.301, abs=1e-3)
        beside = found["components, 10,000 spacepoints: ours / csgraph, time"]
        assert (beside.measured.median, beside.verdict) == (2.5, "no")
        assert found["gnn, 9,000 edges: all edges at once / as it is, time"].met
        share = found["gnn, 9,000 edges: FLOP/s / those of its matrix products alone"]
        assert share.measured.median == pytest.approx(1 / 3)
        assert (share.asked, share.verdict) == ("at least 0.4", "no")
        whole = found["pipeline, 10,000 spacepoints: time grows as N to the power"]
        assert (whole.measured.median, whole.verdict) == (1.0, "yes")
        assert found["most memory of any stage of ours, MiB"].measured.median == 300.0

    def test_events_of_one_size_do_not_tell_how_time_grows(self) -> None:
        found = stage_goals(with_growth([row()]))
        assert [one.verdict for one in found] == ["yes", "yes", "–"]
        assert not any("to the power" in one.name for one in found)

    def test_without_rows_of_a_stage_nothing_is_said_of_it(self) -> None:
        names = [one.name for one in stage_goals([row(stage="edges")])]
        assert names == ["answers that differ from the reference", "most memory of any stage of ours, MiB"]


def test_the_report_says_where_and_with_what() -> None:
    where = {"machine": "a machine", "versions": "numpy 1", "commit": "abc", "input": "event 1 of x"}
    rows = with_growth([row(**where), row(**(where | {"spacepoints": 9_000, "input": "event 2 of x"}))])
    text = report(rows)
    assert "- machine: a machine\n- versions: numpy 1\n- commit: abc\n- events: event 1 of x; event 2 of x\n" in text
    assert "| 9,000" in text


def test_a_stage_stands_beside_the_machines_limits() -> None:
    counted = {"operators": 62.0, "waits": 3.0, "gflop": 2.0, "gbyte": 0.5}
    limits = {"product_gflop_s": 50.0, "copy_gbyte_s": 20.0}
    text = limits_text([row(stage="gnn", method="network", wall_ms=100.0, **counted, **limits), row(method="csgraph")])
    *_, line = text.splitlines()
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    # 2 GFLOP and 0.5 GB in 0.1 s.
    assert cells == [
        "gnn",
        "1,000",
        "network",
        "2",
        "62",
        "3",
        "2.00",
        "20.0",
        "50.0",
        "0.40",
        "0.500",
        "5.0",
        "20.0",
        "0.25",
    ]
    assert limits_text([row()]) == "", "nobody counted"


def test_no_number_is_an_empty_cell(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(csv_of([replace(row(), n_power=math.nan)]))
    with (tmp_path / "rows.csv").open(newline="") as file:
        (line,) = csv.DictReader(file)
    assert (line["n_power"], line["wall_ms"]) == ("", "10.0")
