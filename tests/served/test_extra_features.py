"""Networks that take columns beside the position, served: the same answer everywhere, one clear refusal without."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import compiled
import numpy as np
import pytest
import torch
from extra_columns import POINT, direct, extra_event, labels_of
from serving import Caller
from tiny_networks import WORKING_POINT, write_tiny_repository

from exatrkx.errors import ContractError, ExitCode, MissingColumnError
from exatrkx.events.event import Event, features
from exatrkx.events.parquet_writer import write_events
from exatrkx.files import write_files
from exatrkx.project_files import project_files
from exatrkx.serving.model_config import edited_configs, read_working_point
from exatrkx_client import TrackingClient
from exatrkx_client.errors import ClientError, ServedModelError
from exatrkx_client.find_tracks import main
from exatrkx_server.probe import Probe, is_pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from exatrkx_server import TritonServer

MODELS: Final = ("exatrkx_ensemble", "exatrkx_custom")


@pytest.fixture(scope="module", params=("python stages", "compiled stages"))
def five(
    request: pytest.FixtureRequest, five_column_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TritonServer]:
    """Servers of networks that take five columns."""
    if request.param == "python stages":
        yield request.getfixturevalue("five_column_server")
        return
    with compiled.server(five_column_repository, tmp_path_factory.mktemp("server"), "compiled") as running:
        yield running


@pytest.fixture
def event() -> Event:
    return extra_event()


def test_the_columns_tell_tracks_apart(event: Event) -> None:
    """Of the direct call, which the served ones are held to."""
    without_completion = replace(POINT, completion_reach=0.0)
    assert max(direct(features(event, POINT.extra), without_completion)) + 1 == 12
    assert max(direct(features(event), replace(without_completion, extra_features=""))) + 1 == 4
    assert labels_of(event) != direct(features(event, POINT.extra), without_completion)
    with pytest.raises(ContractError, match=r"FEATURES: expected FP32 \[-1,5\], found float32 \[72,3\]"):
        direct(features(event))


@pytest.mark.server
@pytest.mark.parametrize("model", MODELS)
def test_served_as_called_directly(five: TritonServer, event: Event, model: str) -> None:
    expected = labels_of(event)
    with TrackingClient(five.grpc_url, model) as client:
        assert client.find_tracks(event).tolist() == expected, "the server is asked which columns it takes"
        assert client.find_tracks(features(event, POINT.extra), with_edges=True).labels.tolist() == expected
        nothing = np.zeros(0, dtype=np.float32)
        none = Event(event_id=8, x=nothing, y=nothing, z=nothing, extra={"charge": nothing, "count": nothing})
        assert client.find_tracks(none).tolist() == []
        assert any(name == f"{model} extra_features" for name in client.identity())
    with TrackingClient(five.http_url, model, protocol="http") as client:
        client.check_contract()
        assert client.find_tracks(event).tolist() == expected


@pytest.mark.server
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("checked", [True, False])
def test_a_missing_column_is_named(five: TritonServer, event: Event, model: str, *, checked: bool) -> None:
    reason = r"event 7: column '{}' is missing: the networks take charge/100, count beside the position; found {}"
    for extra, lacks, has in (({}, "charge', 'count", "none"), ({"charge": event.x}, "count", "'charge'")):
        with TrackingClient(five.grpc_url, model) as client:
            if checked:
                client.check_contract()
            with pytest.raises(MissingColumnError, match=reason.format(lacks, has)):
                client.find_tracks(replace(event, extra=extra))
            found = client.find_tracks(event).tolist()
            assert found == labels_of(event), "and the next is answered"


@pytest.mark.server
def test_bare_features_of_the_position_alone(five: TritonServer, event: Event) -> None:
    with TrackingClient(five.grpc_url) as client:
        for _ in range(2):
            with pytest.raises(ContractError, match=r"FEATURES: expected FP32 \[-1,5\], found float32 \[72,3\]"):
                client.find_tracks(features(event))


@pytest.mark.server
@pytest.mark.parametrize("model", MODELS)
def test_the_supervisors_probe_has_their_number(five: TritonServer, model: str) -> None:
    with Caller(five) as api:
        spec = api.describe(model)
        assert is_pipeline(spec)
        assert not is_pipeline(api.describe("wcc"))
        probe = Probe(api, spec)
        probe.ask()
        probe.ask()


@pytest.mark.server
def test_not_finite_is_refused_with_its_column(five: TritonServer, event: Event) -> None:
    bad = features(event, POINT.extra)
    bad[2, 4] = np.nan
    with TrackingClient(five.grpc_url, "exatrkx_custom") as client, pytest.raises(ClientError, match="row 2, column 4"):
        client.find_tracks(bad)


@pytest.mark.server
def test_the_command_by_a_mapping_and_by_parquet(
    five: TritonServer, event: Event, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = np.stack([event.x, event.y, event.z, event.extra["charge"], event.extra["count"]], axis=1)
    text, own = tmp_path / "event7.csv", tmp_path / "events.parquet"
    np.savetxt(text, table, delimiter=",", fmt="%.9g", header="x,y,z,q,n", comments="")
    write_events(own, [event])
    found = []
    for name, source in (("mapped", [str(text), "--columns", "extra.charge=q,extra.count=n"]), ("own", [str(own)])):
        output = tmp_path / f"{name}.csv"
        assert main([*source, "--url", five.grpc_url, "--output", str(output)]) == ExitCode.DONE
        found.append(output.read_text())
    assert found[0] == found[1]
    assert int(found[0].splitlines()[-1].rpartition(",")[2]) >= 0
    capsys.readouterr()
    refused = [str(text), "--columns", "extra.charge=q", "--url", five.grpc_url, "--output", str(tmp_path / "no.csv")]
    assert main(refused) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert "event 7: column 'count' is missing: the networks take charge/100, count beside the position" in told
    assert not (tmp_path / "no.csv").exists()


def test_a_server_that_contradicts_itself(five_column_repository: Path, tmp_path: Path) -> None:
    """The number of columns is in `dims`, their names in a parameter; an export writes both."""
    target = write_tiny_repository(five_column_repository, tmp_path / "repository", POINT)
    path = target / "exatrkx_custom" / "config.pbtxt"
    path.write_text(path.read_text().replace('"charge/100,count"', '"charge/100"'))
    with pytest.raises(ContractError, match=r"extra_features is charge/100,count, and charge/100 in another"):
        read_working_point(target)


@pytest.mark.server
def test_servers_of_other_columns_are_not_mixed(five: TritonServer, server: TritonServer) -> None:
    urls = [server.grpc_url, five.grpc_url]
    with TrackingClient(urls) as client, pytest.raises(ServedModelError, match="takes 5 columns of FEATURES: r / 1000"):
        client.check_contract()


def test_and_back_again(five_column_repository: Path, tmp_path: Path) -> None:
    """A repository that was written for more columns is that of three again, but for an empty parameter."""
    target = write_tiny_repository(five_column_repository, tmp_path / "repository", POINT)
    write_files(edited_configs(target, WORKING_POINT))
    assert read_working_point(target) == WORKING_POINT
    for path in target.glob("*/config.pbtxt"):
        committed = (project_files().model_repository / path.parent.name / path.name).read_text().splitlines()
        dims = [line for line in path.read_text().splitlines() if "dims" in line]
        assert dims == [line for line in committed if "dims" in line]


def test_the_exported_networks_see_the_columns(five_column_repository: Path) -> None:
    network = torch.jit.load(str(five_column_repository / "embed" / "1" / "model.pt"))  # type: ignore[no-untyped-call]  # torch's
    assert network(torch.zeros(2, 5)).shape == (2, 5)
