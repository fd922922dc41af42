"""Jagged arrays of events and their labels: any layout and type, missing events, typetracers, and dask-awkward."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import awkward as ak
import numpy as np
import pytest
from extra_columns import extra_event, labels_of
from scripted_grpc import LABELS, answered, serving

from exatrkx.errors import ContractError, MissingColumnError
from exatrkx.events.event import positions
from exatrkx_client import RequestRejectedError, Retry, ServerUnavailableError, TrackingClient
from exatrkx_client.awkward import TrackFinder, find_tracks
from exatrkx_server import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from exatrkx_server import TritonServer

SIZES: Final = (3, 0, 40, 1, 2, 0, 17, 120)


def rows(size: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Features [size,3] of an event in which some spacepoints are close to each other."""
    return np.random.default_rng((seed, size)).uniform(0.1, 0.3, (size, 3)).astype(np.float32)


FEATURES: Final = [rows(size) for size in SIZES]
JAGGED_FEATURES: Final = ak.unflatten(np.concatenate(FEATURES), SIZES)


def spacepoints() -> ak.Array:
    """The events as positions, with another field."""
    x, y, z = (ak.unflatten(column, SIZES) for column in positions(np.concatenate(FEATURES)))
    return ak.zip({"charge": ak.local_index(x), "z": z, "x": x, "y": y})


EVENTS: Final = spacepoints()
NOWHERE: Final = f"127.0.0.1:{free_ports().grpc}"


@pytest.fixture(scope="module")
def client(server: TritonServer) -> Iterator[TrackingClient]:
    with TrackingClient(server.grpc_url) as connected:
        yield connected


@pytest.fixture(scope="module")
def expected(client: TrackingClient) -> list[list[int]]:
    """Of each event by itself."""
    labels = [client.find_tracks(features).tolist() for features in FEATURES]
    assert max(map(max, filter(None, labels))) > 3
    return labels


def typed(events: Any) -> str:
    """The type of an event's labels as a typetracer says it, which needs no server."""
    tracer = ak.Array(events.layout.to_typetracer(forget_length=True))
    return str(TrackFinder(NOWHERE)(tracer).type.content)


@pytest.mark.server
@pytest.mark.parametrize(
    "events",
    [
        pytest.param(EVENTS, id="positions"),
        pytest.param(ak.values_astype(EVENTS, np.float64), id="in double precision"),
        pytest.param(EVENTS.mask[np.full(len(SIZES), True)], id="of an option type, none missing"),
        pytest.param(EVENTS[::-1][::-1], id="turned around"),
        pytest.param(ak.concatenate([EVENTS[:4], EVENTS[4:]]), id="in two pieces"),
        pytest.param(JAGGED_FEATURES, id="features"),
        pytest.param(ak.from_regular(JAGGED_FEATURES, axis=2), id="features in lists"),
    ],
)
def test_labels_of_each_event(client: TrackingClient, expected: list[list[int]], events: ak.Array) -> None:
    found = find_tracks(client, events)
    assert found.to_list() == expected
    assert str(found.type.content) == typed(events)


@pytest.mark.server
def test_slices_and_missing_events(client: TrackingClient, expected: list[list[int]]) -> None:
    some = EVENTS[[7, 2, 2, 0, 1]]
    assert find_tracks(client, some).to_list() == [expected[number] for number in (7, 2, 2, 0, 1)]
    there = np.array([True, False, True, False, False, True, True, False])
    for events in (EVENTS.mask[there], JAGGED_FEATURES.mask[there]):
        found = find_tracks(client, events)
        assert found.to_list() == [labels if here else None for labels, here in zip(expected, there, strict=True)]
        assert str(found.type) == "8 * option[var * int64]"
        assert str(found.type.content) == typed(events)
    regular = ak.to_regular(EVENTS[[2, 2]], axis=1)
    assert find_tracks(client, regular).to_list() == [expected[2]] * 2
    none = EVENTS.mask[np.full(len(SIZES), False)]
    assert find_tracks(client, none).to_list() == [None] * len(SIZES)


@pytest.mark.server
def test_whole_numbers(client: TrackingClient) -> None:
    events = ak.Array([[{"x": 30 + i, "y": 2, "z": i} for i in range(9)]])
    whole, real = (find_tracks(client, ak.values_astype(events, kind)) for kind in (np.int32, np.float32))
    assert whole.to_list() == real.to_list() == [[0] * 9]


@pytest.mark.parametrize(
    "events", [ak.Array([]), EVENTS[:0], JAGGED_FEATURES[:0], EVENTS.mask[np.full(len(SIZES), False)]], ids=str
)
def test_no_event_needs_no_server(events: ak.Array) -> None:
    found = TrackFinder(NOWHERE)(events)
    assert found.to_list() == [None] * len(events)
    assert str(found.type.content).removeprefix("option[").removesuffix("]") == "var * int64"


@pytest.mark.server
def test_empty_events(client: TrackingClient) -> None:
    for events in (EVENTS[[1, 5]], JAGGED_FEATURES[[1, 5]], ak.Array([[], []])):
        found = find_tracks(client, events)
        assert (found.to_list(), str(found.type)) == ([[], []], "2 * var * int64")


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        (EVENTS[0], "expected events of spacepoints .*, found {charge"),
        (EVENTS[["x", "y"]], "expected events of spacepoints .*, found var"),
        (EVENTS.x, "expected events of spacepoints .*, found var . float32"),
        (ak.Array([[[[1.0, 2.0, 3.0]]]]), "found var . var . var . float64"),
        (ak.Array([[["a", "b", "c"]]]), "found var . var . string"),
        (ak.Array([None, None]), "found .unknown"),
        (ak.Array([[[1.0, 2.0, 3.0], [1.0, 2.0]]]), "features: rows of different length"),
        (ak.Array([[[1.0, 2.0, 3.0, 4.0]]]), "FEATURES: expected FP32 "),
        (ak.Array([[{"x": "a", "y": 1, "z": 2}]]), "expected"),
        (ak.Array([[{"x": 40, "y": 1, "z": 2}], None, [], [{"x": 40, "y": None, "z": 2}]]), "'y': .* of event 3;"),
        (ak.Array([[], [{"x": 40, "y": 1, "z": 2}, None]]), "'x': missing of a spacepoint of event 1;"),
        (ak.Array([[[1.0, 2.0, 3.0]], [[1.0, None, 3.0]]]), "features: missing of a spacepoint of event 1;"),
        (ak.Array([[{"x": 40e3, "y": 1, "z": 2}]]), "event 0: spacepoints .* fit no detector"),
    ],
)
def test_what_is_no_event(events: ak.Array, reason: str) -> None:
    with pytest.raises(ContractError, match=reason):
        TrackFinder(NOWHERE)(events)


@pytest.mark.server
def test_errors_name_the_event(client: TrackingClient) -> None:
    bad = [FEATURES[0], FEATURES[2], np.where(np.arange(9).reshape(3, 3) == 4, np.float32(np.nan), FEATURES[0])]
    with pytest.raises(RequestRejectedError, match="must be finite, found nan at row 1, column 1") as caught:
        find_tracks(client, ak.unflatten(np.concatenate(bad), [3, 40, 3]))
    assert caught.value.__notes__ == ["event 2 of the array"]
    with pytest.raises(ServerUnavailableError):
        TrackFinder(NOWHERE, retry=Retry(attempts=1))(EVENTS)
    with pytest.raises(ValueError, match="in_flight"):
        find_tracks(client, EVENTS, in_flight=0)


def events_with_columns() -> tuple[ak.Array, list[list[int]]]:
    """Events of three sizes, one of them empty, for networks that take more; and the direct call's labels."""
    events = [extra_event(number, size) for number, size in ((7, 18), (8, 0), (9, 12))]
    records = [{"x": event.x, "y": event.y, "z": event.z, **event.extra} for event in events]
    columns = ak.Array(records)
    return ak.zip({name: columns[name] for name in ak.fields(columns)}), [labels_of(event) for event in events]


@pytest.mark.server
def test_columns_beside_the_position(five_column_server: TritonServer) -> None:
    events, expected = events_with_columns()
    assert min(max(expected[0]), max(expected[2])) >= 1
    finder = TrackFinder(five_column_server.grpc_url)
    assert finder(events).to_list() == expected
    assert finder(ak.with_field(events, [["x"] * 72, [], ["y"] * 48], "unused")).to_list() == expected, (
        "others are left alone"
    )
    assert finder(events.mask[[True, False, True]]).to_list() == [expected[0], None, expected[2]]
    assert finder(ak.Array([[], []])).to_list() == [[], []]
    rows = ak.concatenate([events[name][..., None] for name in ("x", "y", "z", "charge", "count")], axis=2)
    with pytest.raises(ContractError, match="FEATURES"):
        finder(rows)  # mm, no features


@pytest.mark.server
@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (["x", "y", "z"], "event 0: column 'charge', 'count' is missing: the networks take charge/100, count .*none"),
        (["x", "y", "z", "charge", "unused"], "event 0: column 'count' is missing: .*found 'charge'"),
    ],
)
def test_a_missing_column_is_named(five_column_server: TritonServer, fields: list[str], reason: str) -> None:
    events, _ = events_with_columns()
    with pytest.raises(MissingColumnError, match=reason) as raised:
        TrackFinder(five_column_server.grpc_url)(events[fields])
    assert raised.value.__notes__ == ["event 0 of the array"]


@pytest.mark.server
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ([["a"] * 72, [], ["b"] * 48], "'count': expected numbers, found var . string"),
        ([[None] * 72, [], [1.0] * 48], "'count': missing of a spacepoint of event 0"),
        ([[[1.0, 2.0]] * 72, [], [[1.0, 2.0]] * 48], "'count': expected numbers, found var . var"),
        ([[[1.0]] * 72, [], [[1.0, 2.0]] * 48], "'count': expected numbers"),
    ],
)
def test_a_column_that_is_none(five_column_server: TritonServer, wrong: Any, reason: str) -> None:
    events, _ = events_with_columns()
    with pytest.raises(ContractError, match=reason):
        TrackFinder(five_column_server.grpc_url)(ak.with_field(events, wrong, "count"))


@pytest.mark.server
def test_a_typetracer_needs_the_columns_that_a_server_names(five_column_server: TritonServer) -> None:
    events, _ = events_with_columns()
    form = ak.to_packed(events).layout.form_with_key()
    for url, touched in ((five_column_server.grpc_url, {"x", "y", "z", "charge", "count"}), (NOWHERE, {"x", "y", "z"})):
        tracer, report = ak.typetracer.typetracer_with_report(form, highlevel=True)
        assert str(TrackFinder(url)(tracer).type) == "## * var * int64"
        columns = {form.content.content(name).form_key: name for name in ak.fields(events)}
        assert {columns[key] for key in report.data_touched if key in columns} == touched


def test_several_events_are_on_their_way() -> None:
    """A server that answers nobody before two have come."""
    two = threading.Barrier(2, timeout=60)

    def together(request: Any, context: Any) -> Any:
        two.wait()
        return answered(request, context)

    events = ak.unflatten(np.tile(rows(5), (6, 1)), 5)
    with serving(together) as (service, url):
        assert TrackFinder(url, in_flight=2)(events).to_list() == [LABELS.tolist()] * 6
    assert len(service.sent) == 6


def test_a_typetracer_needs_the_positions_alone() -> None:
    form = EVENTS.layout.form_with_key()
    tracer, report = ak.typetracer.typetracer_with_report(form, highlevel=True)
    finder = pickle.loads(pickle.dumps(TrackFinder(NOWHERE)))
    assert str(finder(tracer).type) == "## * var * int64"
    columns = {form.content.content(name).form_key: name for name in ak.fields(EVENTS)}
    assert {columns[key] for key in report.data_touched if key in columns} == {"x", "y", "z"}


DASK: Final = ("dask==2025.3.0", "dask-awkward==2026.2.1", "cachetools==8.0.2")
"""Apart from this environment, whose dask is newer than dask-awkward takes."""

_PARTITIONS: Final = """
import sys
import awkward as ak, dask, dask_awkward as dak
from exatrkx_client.awkward import TrackFinder, find_tracks

file, url, more_columns, taking_them = sys.argv[1:]
events = ak.from_parquet(file)
lazy = dak.from_parquet([file] * 2)
labels = lazy.map_partitions(TrackFinder(url))
pieces = dak.from_awkward(events, npartitions=3).map_partitions(TrackFinder(url))
expected = TrackFinder(url)(events)
for scheduler in "sync", "threads":
    with dask.config.set(scheduler=scheduler):
        assert labels.compute().to_list() == 2 * expected.to_list()
        tracks = dask.compute(pieces, ak.max(pieces, axis=1))
        assert tracks[0].to_list() == expected.to_list() and tracks[1].to_list() == ak.max(expected, axis=1).to_list()
assert str(labels.type.content) == "var * int64", labels.type
(columns,) = dak.necessary_columns(labels).values()
print(*sorted(columns))
labels = dak.from_parquet(more_columns).map_partitions(TrackFinder(taking_them))
(columns,) = dak.necessary_columns(labels).values()
print(*sorted(columns))
print(*ak.flatten(labels.compute(scheduler="sync")).to_list())
"""


@pytest.mark.server
@pytest.mark.package
def test_dask_awkward(server: TritonServer, five_column_server: TritonServer, tmp_path: Path) -> None:
    """In map_partitions: the type without a server, only what is needed read from Parquet, the same labels."""
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path / "dask")]
    done = subprocess.run([*install, *DASK], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"pip reaches no index of packages: {done.stderr.strip()[-200:]}")
    ak.to_parquet(EVENTS, tmp_path / "events.parquet")
    more, expected = events_with_columns()
    ak.to_parquet(more, tmp_path / "more.parquet")
    sources = [str(tmp_path / "events.parquet"), server.grpc_url, str(tmp_path / "more.parquet")]
    command = [sys.executable, "-c", _PARTITIONS, *sources, five_column_server.grpc_url]
    paths = os.pathsep.join((str(tmp_path / "dask"), os.environ.get("PYTHONPATH", "")))
    environment = os.environ | {"PYTHONPATH": paths.rstrip(os.pathsep)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    columns, more_columns, labels = done.stdout.splitlines()
    assert (columns.split(), more_columns.split()) == (["x", "y", "z"], ["charge", "count", "x", "y", "z"])
    assert [int(label) for label in labels.split()] == [label for event in expected for label in event]
