"""The plots: drawn from saved results, whatever there is of them."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pytest
from perf_results import point, result, write_folder

from exatrkx.reporting.plot_style import style
from exatrkx_perf.commands import breakdown, compare
from exatrkx_perf.comparison import gather
from exatrkx_perf.errors import ResultsError
from exatrkx_perf.plots import throughput_plot, write_plots
from exatrkx_perf.results import UNEXPLAINED, PointStep, Result, StepTime, results_in, steps_in
from exatrkx_perf.step_plot import segments_of, step_plot

pytestmark = pytest.mark.slow

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("results")
    write_folder(path)
    return path


def test_every_plot_is_drawn(folder: Path, tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    written = write_plots(results_in([folder]), steps_in([folder]), tmp_path)
    assert {path.name for path in written} == {"throughput.png", "instances.png", "latency.png", "steps.png"}
    assert all(path.read_bytes().startswith(PNG) for path in written)
    assert dict(mpl.rcParams) == before, "the style is ours alone"


def test_every_plot_as_svg(folder: Path, tmp_path: Path) -> None:
    assert compare.main([str(folder), "--output", str(tmp_path), "--plot-format", "svg"]) == 0
    written = {path.name: path.read_text() for path in tmp_path.glob("*.svg")}
    assert set(written) == {"throughput.svg", "instances.svg", "latency.svg", "steps.svg"}
    assert all("<svg" in text for text in written.values())
    assert not list(tmp_path.glob("*.png"))


def test_several_samples_have_one_plot(tmp_path: Path) -> None:
    models, samples = ("exatrkx_custom", "exatrkx_ensemble"), ("few", "many")
    results = [result(point(model, sample=sample), 25.0) for model in models for sample in samples]
    assert [path.name for path in write_plots(results, [], tmp_path)] == ["samples.png"]
    assert write_plots(results[:2], [], tmp_path / "one") == [], "nothing beside the custom backend"


@pytest.mark.parametrize(
    "results",
    [
        [result(point("exatrkx_custom"), 25.0)],
        [result(point("direct"), 25.0)],
        [result(point("mine", instances=0, threads=0, concurrency=c), 25.0) for c in (1, 3)],
        [result(point("exatrkx_custom", protocol="http"), 25.0)],
        [result(point("exatrkx_ensemble", repeat=r), 25.0, gpu_busy=0.5, gpu_memory_mib=900.0) for r in (0, 1)],
        [result(point(f"model{n}", concurrency=2), 25.0) for n in range(9)],
    ],
    ids=["one point", "direct alone", "another's server", "nothing plain", "GPU", "many models"],
)
def test_what_there_is_is_drawn(results: list[Result], tmp_path: Path) -> None:
    for path in write_plots(results, [], tmp_path):
        assert path.read_bytes().startswith(PNG)


def test_nothing_to_draw_is_said() -> None:
    with style():
        with pytest.raises(ResultsError, match="no served model"):
            throughput_plot(gather([result(point("direct"), 25.0)]))
        with pytest.raises(ResultsError, match="no point with one request in flight"):
            step_plot([])


@pytest.mark.parametrize("rest", [3.0, -1.5])
def test_the_segments_add_up_to_the_request(rest: float) -> None:
    at = point("exatrkx_ensemble")
    times = [
        StepTime("embed", 60, 1.0, 0.5, 4.0, 1.5, 7.0),
        StepTime("gnn", 60, 0.0, 0.5, 9.0, 0.5, 10.0),
        StepTime(UNEXPLAINED, 60, 0.0, 0.0, 0.0, 0.0, rest),
    ]
    segments = segments_of([PointStep(at, time) for time in times])
    assert sum(segments.values()) == pytest.approx(17.0 + rest)
    assert segments["embed"] == 4.0
    assert segments["queue"] == 1.0
    assert segments[UNEXPLAINED] == max(rest, 0.0)


def test_breakdown_prints_and_draws(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot = tmp_path / "deep" / "steps.png"
    assert breakdown.main([str(folder), "--concurrency", "1", "--instances", "1", "--plot", str(plot)]) == 0
    printed = capsys.readouterr().out
    assert "1 in flight, 1 × 1" in printed
    assert "2 in flight" not in printed
    assert plot.read_bytes().startswith(PNG)
    assert breakdown.main([str(folder), "--concurrency", "77"]) == 2
    assert "no step times of such points" in capsys.readouterr().err
