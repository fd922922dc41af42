"""`ServedTrackFinding` in ACTS's sequencer, against real servers: the trained networks, and two that misbehave."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scripted_server
from tiny_networks import WORKING_POINT, tiny_pipeline, write_tiny_repository
from wayward_server import AWAY, MEETING, write_wayward_repository

from exatrkx.errors import ContractError, MissingColumnError, SimulationError
from exatrkx.events.event import Event, IntArray, features
from exatrkx.simulation.settings import SimulationSettings
from exatrkx_client import (
    DeadlineError,
    RequestRejectedError,
    Retry,
    ServerError,
    ServerUnavailableError,
    TrackingClient,
)
from exatrkx_client.address import Address
from exatrkx_client.answer import FeatureArray
from exatrkx_client.triton_api import TritonApi
from exatrkx_server import ServerOptions, TritonServer, free_ports

pytest.importorskip("acts")
pytest.importorskip("pythia8mc")

import acts
import acts.examples as ex
from acts_cases import GRAZING, Gun, Particles, muon, muons, shoot, watched

from exatrkx.simulation.chain import Simulation
from exatrkx.simulation.detector import Detector
from exatrkx.simulation.generator import GeneratedParticle
from exatrkx_acts.finding import ServedTrackFinding, measurements

pytestmark = [pytest.mark.simulation, pytest.mark.server]

__all__ = ["shoot"]  # a fixture

ROOT = Path(__file__).resolve().parents[3]
WEIGHTS = [ROOT / "model_repository" / name / "1" / "model.pt" for name in ("embed", "filter", "gnn")]
AT_ONCE = Retry(attempts=3, first_delay_s=0)
Shoot = Callable[[Particles], None]


@pytest.fixture(scope="module")
def wayward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    repository = write_wayward_repository(tmp_path_factory.mktemp("wayward"))
    with TritonServer(repository, ServerOptions(stop_timeout_s=1)) as running:
        yield running


@pytest.fixture
def trained(trained_server: TritonServer) -> Iterator[TrackingClient]:
    with TrackingClient(trained_server.grpc_url) as client:
        yield client


@pytest.fixture
def away(wayward: TritonServer) -> Iterator[TrackingClient]:
    with TrackingClient(wayward.grpc_url, AWAY, retry=AT_ONCE) as client:
        yield client


@pytest.fixture
def nobody() -> Iterator[TrackingClient]:
    """A client whose server does not exist."""
    with TrackingClient(f"127.0.0.1:{free_ports('127.0.0.1').grpc}", retry=AT_ONCE) as client:
        yield client


def requests_to(server: TritonServer, model: str) -> int:
    """How many requests the model has had, as the server counts them."""
    with TritonApi(Address.parse(server.grpc_url)) as api:
        counted = api.statistics(model)
    return counted["success"][0] + counted["fail"][0]


def groups(labels: IntArray) -> list[set[int]]:
    """The spacepoints of each label."""
    return [set(np.flatnonzero(labels == label).tolist()) for label in range(labels.max(initial=-1) + 1)]


def second_only(number: int) -> list[GeneratedParticle]:
    return [muon()] if number == 1 else []


def nothing_found(hits: FeatureArray) -> IntArray:
    return np.full(len(hits), -1, dtype=np.int64)


def test_proto_tracks_are_the_candidates_of_the_direct_pipeline(trained: TrackingClient) -> None:
    from exatrkx.pipeline import Pipeline  # noqa: PLC0415 - imports torch
    from exatrkx.working_point import WorkingPoint  # noqa: PLC0415

    embed, edge_filter, gnn = WEIGHTS
    direct = Pipeline.from_torchscript(
        embed, edge_filter, gnn, WorkingPoint.load(ROOT / "models_src/exatrkx/weights/working_point.json")
    )
    simulation = Simulation(SimulationSettings(seed=5))
    finding = ServedTrackFinding(trained)
    seen = watched(finding, range(2, 5), threads=2)
    assert sorted(seen) == [2, 3, 4]
    for number, one in seen.items():
        expected = groups(direct(features(simulation.event(number))).labels)
        assert [set(track) for track in one.spacepoints] == expected
        assert len(expected) > 20
        for track in one.spacepoints:
            assert np.all(np.diff(one.event.r[track]) >= 0)
    assert (finding.tally.served, finding.tally.fallen_back, finding.tally.skipped) == (3, 0, 0)
    assert finding.tally.proto_tracks == sum(len(one.proto_tracks) for one in seen.values())


def test_the_measurements_are_those_of_the_particle(trained: TrackingClient, shoot: Shoot) -> None:
    pair = [muon(1), muon(2, (-3.0, 1.0, 2.0))]
    shoot(lambda _number: pair)
    one = watched(ServedTrackFinding(trained), range(1))[0]
    assert min(len(track) for track in one.proto_tracks) >= 9
    owners = [set().union(*(one.owners[measurement] for measurement in track)) for track in one.proto_tracks]
    assert sorted(map(sorted, owners)) == [[1], [2]]


@pytest.mark.parametrize("threads", [1, 2])
def test_events_of_no_and_of_one_spacepoint(trained: TrackingClient, shoot: Shoot, threads: int) -> None:
    shoot(lambda number: [GRAZING] if number % 2 else [])
    seen = watched(ServedTrackFinding(trained), range(4), threads)
    assert {number: len(one.event) for number, one in seen.items()} == {0: 0, 1: 1, 2: 0, 3: 1}
    assert all(one.proto_tracks == [] for one in seen.values())


def test_no_events() -> None:
    with TrackingClient("127.0.0.1:1") as client:
        assert watched(ServedTrackFinding(client), range(3, 3)) == {}


def test_a_server_that_is_away_is_asked_as_often_as_it_says(
    wayward: TritonServer, away: TrackingClient, shoot: Shoot, capfd: pytest.CaptureFixture[str]
) -> None:
    shoot(second_only)
    before = requests_to(wayward, AWAY)
    with pytest.raises(ServerUnavailableError) as failed:
        watched(ServedTrackFinding(away), range(4))
    while (asked := requests_to(wayward, AWAY) - before) < 1 + 3:  # counted after the answer
        time.sleep(0.01)
    assert asked == 1 + 3  # event 0 once, event 1, and then none
    text = f"event 1: no tracks from model 'away': grpc://{wayward.grpc_url}: gone for lunch (after 3 attempts)"
    assert failed.value.args == (text,)
    assert failed.value.__notes__ == ["events that came through: [0]"]
    assert isinstance(failed.value.__cause__, ServerUnavailableError)
    assert text in "".join(capfd.readouterr())  # in ACTS's log, too


def test_a_server_that_does_not_exist(nobody: TrackingClient, shoot: Shoot) -> None:
    shoot(second_only)
    with pytest.raises(
        ServerUnavailableError, match=rf"^event 0: no tracks from model .*: {nobody.address}: .*3 attempts"
    ):
        watched(ServedTrackFinding(nobody), range(1))


def test_one_event_fails_and_the_others_go_on(
    away: TrackingClient, shoot: Shoot, capfd: pytest.CaptureFixture[str]
) -> None:
    shoot(second_only)
    finding = ServedTrackFinding(away, skipFailed=True)
    assert sorted(watched(finding, range(4), threads=2)) == [0, 2, 3]
    assert (finding.tally.served, finding.tally.fallen_back, finding.tally.skipped) == (3, 0, 1)
    said = [line for line in "".join(capfd.readouterr()).splitlines() if "ERROR" in line]
    assert len(said) == 1
    assert "event 1: no tracks from model 'away'" in said[0]
    assert said[0].endswith("gone for lunch (after 3 attempts); the event is skipped")


def test_the_direct_pipeline_finds_the_same(
    trained: TrackingClient, nobody: TrackingClient, shoot: Shoot, capfd: pytest.CaptureFixture[str]
) -> None:
    shoot(muons)
    expected = watched(ServedTrackFinding(trained), range(2))
    capfd.readouterr()
    finding = ServedTrackFinding(nobody, fallback="direct")
    found = watched(finding, range(2), threads=2)
    assert all(len(expected[number].proto_tracks) >= 10 for number in range(2))
    assert all(found[number].proto_tracks == expected[number].proto_tracks for number in range(2))
    assert (finding.tally.served, finding.tally.fallen_back) == (0, 2)
    said = [line for line in "".join(capfd.readouterr()).splitlines() if "WARNING" in line]
    assert [sum(f"event {number}: " in line for line in said) for number in range(2)] == [1, 1]
    assert all(line.endswith("(after 3 attempts); the fallback finds its tracks") for line in said)


def test_any_function_may_take_the_place_of_the_server(away: TrackingClient, shoot: Shoot) -> None:
    shoot(second_only)
    asked: list[int] = []

    def odd(hits: FeatureArray) -> IntArray:
        asked.append(len(hits))
        return np.arange(len(hits), dtype=np.int64) % 2

    finding = ServedTrackFinding(away, fallback=odd)
    seen = watched(finding, range(3))
    assert asked == [len(seen[1].event)]
    assert [sorted(track) for track in seen[1].spacepoints] == [
        list(range(start, len(seen[1].event), 2)) for start in (0, 1)
    ]
    assert (finding.tally.served, finding.tally.fallen_back) == (2, 1)


def test_a_fallback_that_gives_too_few_labels(nobody: TrackingClient, shoot: Shoot) -> None:
    shoot(lambda _number: [GRAZING])
    finding = ServedTrackFinding(nobody, fallback=lambda hits: nothing_found(hits)[1:], skipFailed=True)
    with pytest.raises(ContractError, match=r"^event 0: the fallback: 0 labels for 1 spacepoints"):
        watched(finding, range(1))


def test_a_fallback_that_fails_fails_the_event(nobody: TrackingClient, shoot: Shoot) -> None:
    def broken(_hits: FeatureArray) -> IntArray:
        raise ServerError("no better")

    shoot(lambda _number: [GRAZING])
    with pytest.raises(ServerError, match=r"^event 0: the fallback: no better"):
        watched(ServedTrackFinding(nobody, fallback=broken), range(1))
    finding = ServedTrackFinding(nobody, fallback=broken, skipFailed=True)
    assert watched(finding, range(2)) == {}
    assert (finding.tally.fallen_back, finding.tally.skipped) == (0, 2)


def test_an_event_that_the_fallback_refuses_can_be_skipped(nobody: TrackingClient, shoot: Shoot) -> None:
    def strict(_hits: FeatureArray) -> IntArray:
        raise ContractError("FEATURES: entries must be finite")

    shoot(lambda _number: [GRAZING])
    finding = ServedTrackFinding(nobody, fallback=strict, skipFailed=True)
    assert watched(finding, range(2)) == {}
    assert finding.tally.skipped == 2
    with pytest.raises(RequestRejectedError, match=r"^event 0: the fallback: FEATURES: entries must be finite"):
        watched(ServedTrackFinding(nobody, fallback=strict), range(1))


def test_an_event_that_is_refused_is_not_for_the_fallback(
    tmp_path: Path, shoot: Shoot, capfd: pytest.CaptureFixture[str]
) -> None:
    assert scripted_server.REJECT == 1  # what the model takes the grazing muon's r / 1000 mm for
    shoot(lambda _number: [GRAZING])
    repository = scripted_server.write_scripted_repository(tmp_path)
    with (
        TritonServer(repository, ServerOptions(stop_timeout_s=1)) as server,
        TrackingClient(server.grpc_url, scripted_server.MODEL) as client,
    ):
        with pytest.raises(RequestRejectedError, match=r"^event 0: .*'scripted': .*: this event is refused"):
            watched(ServedTrackFinding(client, fallback=nothing_found), range(1))
        assert watched(ServedTrackFinding(client, fallback=nothing_found, skipFailed=True), range(1)) == {}
        assert "this event is refused; the event is skipped" in "".join(capfd.readouterr())


def test_a_model_that_does_not_exist_ends_the_run_whatever_is_configured(wayward: TritonServer, shoot: Shoot) -> None:
    shoot(second_only)
    with TrackingClient(wayward.grpc_url, "absent") as client:
        finding = ServedTrackFinding(client, fallback=nothing_found, skipFailed=True)
        with pytest.raises(ContractError, match=r"^event 0: .*'absent' is not found"):
            watched(finding, range(2))


def test_two_threads_have_two_events_in_flight(wayward: TritonServer, shoot: Shoot) -> None:
    """The server answers neither request before it has the other."""
    shoot(lambda _number: [GRAZING])
    with TrackingClient(wayward.grpc_url, MEETING, timeout_s=60) as client:
        finding = ServedTrackFinding(client)
        try:
            assert sorted(watched(finding, range(2), threads=2)) == [0, 1]
        except DeadlineError:
            pytest.fail("the second request was not sent before the first was answered")
    assert finding.tally.served == 2


def test_a_run_has_the_events_of_the_simulation(away: TrackingClient) -> None:
    settings = SimulationSettings(seed=5, pileup=2.0)
    finding = ServedTrackFinding(away, fallback=nothing_found)
    seen = watched(finding, range(3, 9), threads=2, settings=settings)
    alone = Simulation(settings)
    for number in range(3, 9):
        expected, found = alone.event(number), seen[number].event
        assert all(np.array_equal(getattr(found, axis), getattr(expected, axis)) for axis in "xyz")


@pytest.fixture(scope="module")
def of_columns(tmp_path_factory: pytest.TempPathFactory, tiny_repository: Path) -> Iterator[tuple[str, Any]]:
    """A server of networks that take a column of the container and one that is made, and their working point."""
    point = replace(WORKING_POINT, extra_features="varianceR,mine/2")
    repository = write_tiny_repository(tiny_repository, tmp_path_factory.mktemp("columns") / "repository", point)
    options = ServerOptions(models=("exatrkx_ensemble",), stop_timeout_s=1, custom_backend="python")
    with TritonServer(repository, options) as running:
        yield running.grpc_url, point


def alternating(context: Any, spacepoints: Any) -> dict[str, Any]:
    assert context.eventNumber in range(2)
    return {"mine": np.arange(len(spacepoints.x)) % 2, "not taken": np.ones(len(spacepoints.x))}


def test_columns_beside_the_position(of_columns: tuple[str, Any], shoot: Shoot) -> None:
    shoot(muons)
    url, point = of_columns
    events: dict[int, Event] = {}

    class Kept(ServedTrackFinding):
        def _labels(self, event: Event) -> IntArray:
            events[event.event_id] = event
            return super()._labels(event)

    with TrackingClient(url) as client:
        seen = watched(Kept(client, extraColumns=alternating), range(2))
    pipeline = tiny_pipeline(point)
    found = 0
    for number, one in seen.items():
        event = events[number]
        assert "varianceR" in event.extra
        assert (event.extra["varianceR"] > 0).all()
        assert event.extra["mine"].tolist() == [i % 2 for i in range(len(event))]
        expected = groups(pipeline(features(event, point.extra)).labels)
        assert [set(track) for track in one.spacepoints] == expected
        found += len(expected)
    assert found > 0


def test_a_missing_column_ends_the_run(of_columns: tuple[str, Any], shoot: Shoot) -> None:
    shoot(second_only)
    url, _ = of_columns
    with TrackingClient(url) as client:
        finding = ServedTrackFinding(client, skipFailed=True, fallback=nothing_found)
        with pytest.raises(
            MissingColumnError, match=r"^event 0: no tracks from model '\w+': column 'mine' is missing: .*"
        ):
            watched(finding, range(2))


def test_a_fallback_has_the_columns_that_a_server_has_named(of_columns: tuple[str, Any], shoot: Shoot) -> None:
    shoot(lambda number: muons(number, 4))
    url, point = of_columns
    given: list[tuple[int, ...]] = []

    def fallback(hits: FeatureArray) -> IntArray:
        given.append(hits.shape[1:])
        return nothing_found(hits)

    for known in (False, True):
        with TrackingClient([url, f"127.0.0.1:{free_ports('127.0.0.1').grpc}"], retry=AT_ONCE) as client:
            if known:
                client.served_features()
            client.close()
            watched(ServedTrackFinding(client, extraColumns=alternating, fallback=fallback), range(1))
    assert given == [(3,), (point.num_features,)]


def test_runs_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match=r"must follow one another, found range\(0, 4, 2\)"):
        Detector(1).run(range(0, 4, 2), Gun(second_only).event)

    def broken(_number: int) -> Iterator[GeneratedParticle]:
        raise RuntimeError("no such surface")

    with pytest.raises(SimulationError, match=r"^events 3 … 4: ACTS: no such surface"):
        Detector(1).run(range(3, 5), broken)


def test_spacepoints_of_two_measurements() -> None:
    columns = acts.SpacePointColumns
    container = acts.SpacePointContainer(columns.SourceLinks | columns.X | columns.Y | columns.Z)
    where = acts.GeometryIdentifier(volume=16)
    for indices in ((5, 6), (7,)):
        links = [ex.IndexSourceLink(where, index).toSourceLink() for index in indices]
        container.createSpacePoint().assignSourceLinks(links)
    assert measurements(container, strip_pairs=True) == [(5, 6), (7,)]
    assert measurements(container) == [(5,), (7,)]


def test_a_fallback_that_there_is_not() -> None:
    with TrackingClient("127.0.0.1:1") as client, pytest.raises(ValueError, match="must be 'direct' or a function"):
        ServedTrackFinding(client, fallback="best")  # type: ignore[arg-type]


def test_torch_is_for_the_fallback_only() -> None:
    code = (
        "import sys, exatrkx_acts.finding as a, exatrkx_client as c\n"
        "a.ServedTrackFinding(c.TrackingClient('127.0.0.1:1'), fallback='direct')\n"
        "assert 'torch' not in sys.modules and 'pythia8mc' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
