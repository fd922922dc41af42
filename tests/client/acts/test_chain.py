"""The whole chain of `exatrkx_acts` against the trained networks: efficiency, residuals and pulls as they must be."""

from __future__ import annotations

import csv
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from exatrkx.ckf.settings import SETTINGS
from exatrkx.events.event import features
from exatrkx.performance.metrics import TrackMetrics, track_metrics
from exatrkx.simulation.profile import IDEAL, PROFILES, DetectorProfile
from exatrkx.simulation.settings import SimulationSettings
from exatrkx_client import TrackingClient
from exatrkx_server import TritonServer, free_ports

pytest.importorskip("acts")
pytest.importorskip("pythia8mc")

from acts_cases import Particles, muons, shoot

from exatrkx.simulation.chain import Simulation
from exatrkx_acts.__main__ import main
from exatrkx_acts.chain import CKF, NETWORKS, PROTO_TRACKS, Fits, run_chain
from exatrkx_acts.finding import ServedTrackFinding
from exatrkx_acts.fitted import FITS, fit_ratio, unfitted
from exatrkx_acts.parameters import PARAMETERS
from exatrkx_acts.performance import Performance
from exatrkx_acts.report import report
from exatrkx_acts.tables import write_tables

pytestmark = [pytest.mark.simulation, pytest.mark.server]

__all__ = ["shoot"]  # a fixture

README: Final = (Path(__file__).resolve().parents[3] / "client" / "exatrkx_acts" / "README.md").read_text()
SEED = 5
HARD = range(6)
GUN_EVENTS = range(25)

Shoot = Callable[[Particles], None]


@pytest.fixture(scope="module")
def client(trained_server: TritonServer) -> Iterator[TrackingClient]:
    with TrackingClient(trained_server.grpc_url) as connected:
        yield connected


def found_in(
    client: TrackingClient, numbers: range, threads: int = 1, detector: DetectorProfile = IDEAL
) -> dict[str, Fits]:
    """By the networks and by the CKF."""
    finding = ServedTrackFinding(client, outputProtoTracks=PROTO_TRACKS)
    return run_chain(SimulationSettings(seed=SEED, detector=detector), finding, numbers, threads, SETTINGS["tuned"])


@pytest.fixture(scope="module")
def found(client: TrackingClient) -> dict[str, Fits]:
    """tt̄ events without pile-up."""
    return found_in(client, HARD, threads=2)


@pytest.fixture(scope="module")
def hard(found: dict[str, Fits]) -> Performance:
    """What the networks found in them."""
    return found[NETWORKS].performance


def test_the_fit_of_muons_knows_its_errors(client: TrackingClient, shoot: Shoot) -> None:
    shoot(muons)
    found = found_in(client, GUN_EVENTS, threads=2)[NETWORKS].performance
    assert found.efficiency.denominator > 280
    assert found.efficiency.value > 0.97
    assert found.fake_ratio.value < 0.03
    for parameter in PARAMETERS:
        pull = found.pulls[parameter.key]
        assert found.efficiency.numerator - 5 <= pull.total <= found.efficiency.numerator
        assert pull.within > 0.97 * pull.total, parameter.key
        # 0.06 is the statistical error of either.
        assert 0.8 < pull.width < 1.25, parameter.key
        assert abs(pull.centre) < 0.3, parameter.key
    # From pixels of 50 µm by 56 µm, the first at r = 32 mm: σ of a hit is 14 µm and 16 µm.
    residuals = found.residuals
    assert 8 < residuals["d0"].width < 50
    assert 8 < residuals["z0"].width < 120
    assert 0.1 < residuals["phi"].width < 1.0
    assert 0.02 < residuals["theta"].width < 0.8
    assert 0.1 < residuals["qop"].width < 4.0


def test_acts_counts_as_the_project_does(hard: Performance) -> None:
    from exatrkx.pipeline import Pipeline  # noqa: PLC0415 - imports torch

    direct, simulation = Pipeline.from_weights(), Simulation(SimulationSettings(seed=SEED))
    events = [simulation.event(number) for number in HARD]
    own = sum((track_metrics(direct(features(event)).labels, event) for event in events), start=TrackMetrics.zero())
    expected = own.efficiency_double_majority
    assert hard.efficiency.denominator == expected.denominator > 200
    # A fit may end without a track, and of two measurements on one surface it drops one.
    assert abs(hard.efficiency.numerator - expected.numerator) <= 0.01 * expected.denominator
    assert hard.efficiency.value > 0.97
    assert hard.duplicate_ratio.value < 0.02
    assert 0 < hard.fake_ratio.value < 0.15


def test_noise_and_merged_clusters_go_through_the_fit(client: TrackingClient) -> None:
    found = found_in(client, range(6), threads=2, detector=PROFILES["realistic"])
    for fits in found.values():
        assert fits.performance.efficiency.denominator > 200
        assert fits.performance.efficiency.value > 0.85
        assert fit_ratio(fits.tracks).value > 0.97
        for parameter in PARAMETERS:
            pull = fits.performance.pulls[parameter.key]
            # The beam line is 0.36 mm off the z axis, and modules are displaced by 10 µm, which the fit is told.
            assert pull.total > 150
            assert 0.6 < pull.width < 1.4, parameter.key


def test_the_ckf_meets_the_same_particles(found: dict[str, Fits]) -> None:
    networks, ckf = found[NETWORKS], found[CKF]
    assert ckf.performance.efficiency.denominator == networks.performance.efficiency.denominator
    assert ckf.performance.efficiency.value > 0.97
    assert fit_ratio(ckf.tracks).value == 1.0
    for parameter in PARAMETERS:
        widths = [fits.performance.residuals[parameter.key].width for fits in (networks, ckf)]
        assert 0.7 < widths[0] / widths[1] < 1.5, parameter.key
        assert 0.75 < ckf.performance.pulls[parameter.key].width < 1.3, parameter.key


def test_every_candidate_has_its_fit_or_a_reason(found: dict[str, Fits]) -> None:
    for fits in found.values():
        fitted = fits.tracks["fit"] == 0
        assert np.count_nonzero(fitted) == fits.performance.tracks - unfitted(fits.tracks)["not at the perigee"]
        assert len(fits.tracks) == np.count_nonzero(fitted) + sum(unfitted(fits.tracks).values())
        for name in ("d0", "qop", "theta_error", "chi2"):
            assert np.array_equal(np.isfinite(fits.tracks[name]), fitted), name
        matched = np.count_nonzero(fits.tracks["matched"])
        assert abs(matched - fits.performance.efficiency.numerator) <= 0.02 * matched


def test_bins_add_up(hard: Performance) -> None:
    assert sum(ratio.denominator for ratio in hard.efficiency_eta.ratios) == hard.efficiency.denominator
    assert sum(ratio.numerator for ratio in hard.efficiency_eta.ratios) == hard.efficiency.numerator
    assert 0 <= hard.efficiency.denominator - sum(ratio.denominator for ratio in hard.efficiency_pt.ratios) <= 5


def test_prompt_particles_have_pulls_of_one(hard: Performance) -> None:
    for parameter in PARAMETERS:
        pull = hard.pulls[parameter.key]
        assert 150 < pull.total < hard.efficiency.numerator
        assert 0.75 < pull.width < 1.3, parameter.key


def test_the_number_of_threads_changes_nothing(client: TrackingClient, found: dict[str, Fits], tmp_path: Path) -> None:
    tables = [
        [path.read_text() for path in write_tables(one, tmp_path / name)]
        for name, one in (("one", found_in(client, HARD)), ("two", found))
    ]
    assert tables[0] == tables[1]


def test_nothing_at_all(client: TrackingClient, shoot: Shoot, tmp_path: Path) -> None:
    shoot(lambda _number: [])
    for numbers in (range(2), range(0)):
        finding = ServedTrackFinding(client, outputProtoTracks=PROTO_TRACKS)
        found = run_chain(SimulationSettings(), finding, numbers, ckf=SETTINGS["tuned"])
        for fits in found.values():
            assert fits.performance.tracks == fits.performance.efficiency.denominator == len(fits.tracks) == 0
        assert f"events:      {len(numbers)} with tracks of the server" in report(found, finding.tally)
        write_tables(found, tmp_path)


def test_the_command(
    trained_server: TritonServer, found: dict[str, Fits], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = ["--events", str(len(HARD)), "--seed", str(SEED), "--threads", "2", "--ckf", "tuned"]
    assert main([*sample, "--url", trained_server.grpc_url, "--output", str(tmp_path / "new" / "chain")]) == 0
    said = capsys.readouterr().out
    with (tmp_path / "new" / "chain" / "parameters.csv").open() as file:
        rows = {(row["finder"], row["parameter"], row["quantity"]): row for row in csv.DictReader(file)}
    with (tmp_path / "new" / "chain" / "tracks.csv").open() as file:
        tracks = list(csv.DictReader(file))
    for finder, fits in found.items():
        efficiency = fits.performance.efficiency
        assert f"({efficiency.numerator} of {efficiency.denominator}), double majority" in said
        for parameter in PARAMETERS:
            pull = fits.performance.pulls[parameter.key]
            assert float(rows[finder, parameter.key, "pull"]["width"]) == pull.width
            (line,) = (line for line in said.splitlines() if line.split()[:2] == [parameter.symbol, finder])
            assert f"{pull.width:.3f} ± {pull.width_error:.3f}" in line
        of_finder = [row for row in tracks if row["finder"] == finder]
        assert [int(row["event"]) for row in of_finder] == fits.tracks["event"].tolist()
        assert [FITS.index(row["fit"]) for row in of_finder] == fits.tracks["fit"].tolist()
        assert np.array_equal([float(row["z0_error"]) for row in of_finder], fits.tracks["z0_error"], equal_nan=True)
    for name in ("efficiency.png", "residuals_and_pulls.png"):
        assert (tmp_path / "new" / "chain" / name).read_bytes().startswith(b"\x89PNG")


def test_the_readme(trained_server: TritonServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its Python example as it stands, and its command with fewer events; only the server's address is another."""
    monkeypatch.chdir(tmp_path)
    (python,) = re.findall(r"^```python\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(compile(python.replace("127.0.0.1:8001", trained_server.grpc_url), "README.md", "exec"), names)
    assert names["finding"].tally.served == 4
    assert names["finding"].tally.proto_tracks > 100
    (line,) = re.findall(r"^python -m exatrkx_acts (.*)$", README, flags=re.MULTILINE)
    assert main([*shlex.split(line), "--events", "1", "--url", trained_server.grpc_url]) == 0
    names_written = {
        "tracks.csv",
        "ratios.csv",
        "parameters.csv",
        "histograms.csv",
        "efficiency.png",
        "residuals_and_pulls.png",
    }
    assert {file.name for file in (tmp_path / "out" / "acts").iterdir()} == names_written
    kept = json.loads((tmp_path / "out" / "acts.settings.json").read_text())
    assert (kept["events"], kept["ckf"], kept["seed"], kept["model"]) == (1, "realistic", 101, "exatrkx_ensemble")
    assert len(kept["embed weights_sha256"]) == 64
    assert all(f"`{name}`" in README for name in names_written)


def test_the_command_with_a_server_that_is_away(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    url = f"127.0.0.1:{free_ports('127.0.0.1').grpc}"
    options = ["--events", "2", "--url", url, "--attempts", "1", "--output", str(tmp_path / "out")]
    assert main([*options, "--skip-failed"]) == 0
    assert "0 with tracks of the server, 2 failed and left out" in capsys.readouterr().out
    settings = tmp_path / "out.settings.json"
    assert json.loads(settings.read_text())["model"] == "exatrkx_ensemble"
    assert main([*options, "--fall-back", "direct"]) == 0
    assert "0 with tracks of the server, 2 of the fallback" in capsys.readouterr().out
    assert len(json.loads(settings.read_text())["embed weights_sha256"]) == 64


def test_the_command_tells_at_once_that_nobody_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("exatrkx_acts.__main__.READY_S", 0.2)
    url = f"127.0.0.1:{free_ports('127.0.0.1').grpc}"
    assert main(["--url", url]) == 3
    assert f"exatrkx_acts: not ready within 0.2 s: grpc://{url}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--threads", "0"], "must be at least 1, found 0"),
        (["--attempts", "many"], "invalid number value: 'many'"),
        (["--timeout", "0"], "must be at least 0.001, found 0"),
        (["--fall-back", "best"], "--fallback: invalid choice: 'best'"),
        (["--url", "ftp://127.0.0.1:8001"], "--url: "),
        (["--pileup", "-1"], "the mean pile-up must be from 0 to 1000, found -1.0"),
    ],
)
def test_options_that_make_no_sense(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(options)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_an_output_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["--output", str(tmp_path / "file" / "folder")]) == 1
    assert "exatrkx_acts: " in capsys.readouterr().err


def test_plots_that_cannot_be_drawn_are_told_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mplhep", None)
    assert main(["--output", str(tmp_path / "none")]) == 1
    assert "exatrkx_acts: plots need mplhep" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_without_the_simulation_packages_the_command_says_what_to_install() -> None:
    code = "import sys, runpy; sys.modules['acts'] = None; runpy.run_module('exatrkx_acts', run_name='__main__')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "install 'exatrkx[simulate]'" in result.stderr
    assert "Traceback" not in result.stderr
