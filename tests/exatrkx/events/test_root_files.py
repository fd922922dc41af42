"""ROOT files: trees as ACTS lays them out, hits of EDM4hep, and any branches by a mapping; uproot writes them."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from sample_tables import NAMES, Sample, same, samples

from exatrkx.errors import EventFormatError
from exatrkx.events.columns import ColumnMapping
from exatrkx.events.event import Event, pack_barcodes
from exatrkx.events.readers import count_events, input_files, read_events
from exatrkx_client import find_tracks

uproot = pytest.importorskip("uproot")
ak = pytest.importorskip("awkward")

MAPPING: Final = ColumnMapping.parse(",".join(f"{key}={name}" for key, name in NAMES.items()))


def jagged(events: list[Sample]) -> dict[str, Any]:
    columns = {name: ak.Array([event.columns[name] for event in events]) for name in NAMES.values() if name != "evt"}
    return columns | {"evt": np.array([event.number for event in events], dtype=np.int32)}


def flat(events: list[Sample]) -> dict[str, Any]:
    return {name: np.concatenate([event.columns[name] for event in events]) for name in NAMES.values()}


def write_tree(root: Any, name: str, arrays: dict[str, Any]) -> None:
    """In two baskets, as a long run has many."""
    root.mktree(name, {key: getattr(value, "dtype", None) or ak.type(value).content for key, value in arrays.items()})
    half = len(arrays["evt"]) // 2
    for part in (slice(0, half), slice(half, None)):
        root[name].extend({key: value[part] for key, value in arrays.items()})


@pytest.mark.parametrize("kind", ["TTree", "RNTuple"])
@pytest.mark.parametrize("shape", [jagged, flat])
def test_named_branches(tmp_path: Path, shape: Any, kind: str) -> None:
    with uproot.recreate(tmp_path / "any") as root:
        write_tree(root, "other", {"evt": np.arange(4)})
        if kind == "TTree":
            write_tree(root, "some/folder/hits", shape(samples()))
        else:
            root.mkrntuple("hits", shape(samples()))
    assert count_events(tmp_path / "any", MAPPING) == len(samples())
    for event, expected in zip(read_events(tmp_path / "any", columns=MAPPING), samples(), strict=True):
        same(event, expected)


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        ("x=sp_x,y=sp_y,z=height", "hits: column 'height' is missing; found 'sp_x', 'sp_y', 'sp_z', 'evt', 'pid'$"),
        ("x=sp_x,y=sp_y,z=sp_z,table=tracks", "no tree 'tracks' in it, found 'hits', 'other'"),
        ("x=sp_x,y=sp_y,z=sp_z,table=other", "other: column 'sp_x', 'sp_y', 'sp_z' is missing; found 'evt', 'far'"),
        ("x=sp_x,y=sp_y,z=far", "hits: column 'far' is missing; found 'sp_x', "),
        ("unit=cm", "hits: column 'x', 'y', 'z' is missing; found 'sp_x', "),
    ],
)
def test_a_branch_that_is_not_there(tmp_path: Path, mapping: str, reason: str) -> None:
    columns = {
        name: column for name, column in flat(samples()).items() if name in ("sp_x", "sp_y", "sp_z", "pid", "evt")
    }
    with uproot.recreate(tmp_path / "e.root") as root:
        write_tree(root, "hits", columns)
        write_tree(root, "other", {"evt": np.arange(4), "far": np.arange(4.0)})
    with pytest.raises(EventFormatError, match=rf"^{tmp_path}/e\.root: {reason}"):
        list(read_events(tmp_path / "e.root", columns=ColumnMapping.parse(mapping)))


@pytest.mark.parametrize("damage", ["cut off", "overwritten", "no tree"])
def test_a_damaged_file(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "e.root"
    with uproot.recreate(file) as root:
        if damage == "no tree":
            root["words"] = "nothing else"
        else:
            write_tree(root, "hits", flat(samples()))
    content = bytearray(file.read_bytes())
    if damage == "cut off":
        content = content[: len(content) // 2]
    if damage == "overwritten":
        content[len(content) // 4 : len(content) // 2] = b"\xff" * (len(content) // 2 - len(content) // 4)
    file.write_bytes(content)
    with pytest.raises(EventFormatError, match=rf"^{file}: ") as refused:
        list(read_events(file, columns=MAPPING))
    assert "\n" not in str(refused.value)


BARCODES: Final = np.array([[1, 0, 1, 0, 0], [1, 0, 2, 0, 0], [1, 0, 2, 1, 1]])
"""Two particles of the generator, and one that the second made in the material."""
PIXELS, STRIPS = np.uint64(8 << 56), np.uint64(12 << 56)


def write_acts(folder: Path, made_by: list[list[int]], spacepoints: list[tuple[int, int | None, float]]) -> None:
    """Two equal events, 4 and 5, of measurements with these particles, and of spacepoints (first, second, x).

    As ACTS's writers do it: an entry for each measurement, the second one of a spacepoint kept where there is none.
    """
    with uproot.recreate(folder / "spacepoints.root") as root:
        rows: dict[str, list[Any]] = {name: [] for name in SPACEPOINT_BRANCHES}
        second, other_surface = 0, np.uint64(0)
        for event in (4, 5):
            for first, other, x in spacepoints:
                surface = PIXELS if other is None else STRIPS
                if other is not None:
                    second, other_surface = other, STRIPS + np.uint64(1)
                values = (event, first, surface, second, other_surface, x, 0.0, 1.0, abs(x), np.nan, 0.1, 0.1)
                for name, value in zip(SPACEPOINT_BRANCHES, values, strict=True):
                    rows[name].append(value)
        root["spacepoints"] = {name: np.array(rows[name], dtype=kind) for name, kind in SPACEPOINT_BRANCHES.items()}
    with uproot.recreate(folder / "measurements.root") as root:
        barcodes = [
            ak.values_astype(ak.Array([BARCODES[made, column] for made in made_by] * 2), "uint32")
            for column in range(5)
        ]
        names = ("vertex_primary", "vertex_secondary", "particle", "generation", "sub_particle")
        root["measurements"] = {
            "event_nr": np.repeat(np.array([4, 5], dtype=np.int32), len(made_by)),
            "volume_id": np.zeros(2 * len(made_by), dtype=np.int32),
            **{f"particles_{name}": column for name, column in zip(names, barcodes, strict=True)},
            "rec_gx": np.zeros(2 * len(made_by), dtype=np.float32),
        }
    with uproot.recreate(folder / "particles.root") as root:
        floats = {name: [0.5, 1.5, 2.5] for name in ("vx", "vy", "vz", "vt", "px", "py", "pz", "m", "eta", "p")}
        root["particles"] = {
            "event_id": np.array([4, 5], dtype=np.uint32),
            "particle_type": ak.values_astype(ak.Array([[11, -13, 211]] * 2), "int32"),
            "q": ak.values_astype(ak.Array([[-1.0, 1.0, 1.0]] * 2), "float32"),
            **{name: ak.values_astype(ak.Array([values] * 2), "float32") for name, values in floats.items()},
            **{name: ak.values_astype(ak.Array([BARCODES[:, i]] * 2), "uint32") for i, name in enumerate(names)},
        }


SPACEPOINT_BRANCHES: Final = {
    "event_id": np.uint32,
    "measurement_id": np.uint64,
    "geometry_id": np.uint64,
    "measurement_id_2": np.uint64,
    "geometry_id_2": np.uint64,
    **dict.fromkeys(("x", "y", "z", "r", "t", "var_r", "var_z"), np.float32),
}


def test_what_acts_writes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made_by = [[0], [1, 0], [2], [2, 1], [], [1]]
    places = [(0, None, 30.0), (1, None, 60.0), (2, 3, 500.0), (3, 5, 400.0), (2, 5, 600.0), (4, None, 70.0)]
    write_acts(tmp_path, made_by, places)
    (tmp_path / "tracksummary_ckf.root").write_bytes((tmp_path / "particles.root").read_bytes())
    events = list(read_events(tmp_path))
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}: passed over 1 file without spacepoints: tracksummary_ckf.root"
    ]
    assert sorted(file.name for file in input_files(tmp_path)) == [
        "measurements.root",
        "particles.root",
        "spacepoints.root",
    ]
    assert [event.event_id for event in events] == [4, 5]
    for event in events:
        np.testing.assert_array_equal(event.x, [x for _, _, x in places])
        assert event.truth is not None
        particles = event.truth.particles
        assert particles.particle_id.tolist() == pack_barcodes(BARCODES.astype(np.uint64)).tolist()
        assert particles.primary.tolist() == [True, True, False]
        assert (particles.pdg.tolist(), particles.px.tolist()) == ([11, -13, 211], [0.5, 1.5, 2.5])
        hits = zip(
            event.truth.particle.tolist(), event.truth.order.tolist(), event.truth.spacepoint.tolist(), strict=True
        )
        assert sorted(hits) == [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 3), (2, 0, 2)]


def test_text_of_a_folder_is_preferred(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """ACTS writes the same events twice."""
    write_acts(tmp_path, [[0]], [(0, None, 30.0)])
    for number in (4, 5):
        (tmp_path / f"event00000000{number}-spacepoint.csv").write_text("measurement_id_1,x,y,z\n0,30,0,1\n")
    assert [event.event_id for event in read_events(tmp_path)] == [4, 5]
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}: passed over 3 files beside CSV or Parquet: measurements.root, particles.root, spacepoints.root"
    ]


def test_ten_thousand_events_are_streamed(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "e.root") as root:
        tree = root.mktree("hits", {"x": "var * float32", "y": "var * float32", "z": "var * float32"})
        for _ in range(20):
            place = ak.unflatten(np.full(500 * 500, 30, dtype=np.float32), np.full(500, 500))
            tree.extend({"x": place, "y": place, "z": place})
    tracemalloc.start()
    try:
        count = sum(len(event) == 500 for event in read_events(tmp_path / "e.root"))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 10_000
    assert most < 60e6 / 2  # the positions alone are 60 MB


def test_uproot_that_is_missing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_acts(tmp_path, [[0]], [(0, None, 30.0)])
    monkeypatch.delitem(sys.modules, "exatrkx.events.readers.root_files", raising=False)
    monkeypatch.setitem(sys.modules, "uproot", None)
    assert find_tracks.main([str(tmp_path / "spacepoints.root"), "--url", "127.0.0.1:9"]) == 1
    assert capsys.readouterr().err.endswith("pip install 'exatrkx[formats]'\n")


def test_what_acts_writes_without_truth(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_acts(tmp_path, [[0]], [(0, None, 30.0)])
    (tmp_path / "particles.root").unlink()
    assert [event.truth for event in read_events(tmp_path / "spacepoints.root")] == [None, None]
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}/spacepoints.root: no measurements.root and particles.root beside it: the truth is left out"
    ]


def hits_of(events: list[Event], cell: int) -> Any:
    return ak.Array(
        [
            [
                {"cellID": cell, "time": 0.0, "position": {"x": x, "y": y, "z": z}, "covMatrix": {"values": 0.1}}
                for x, y, z in zip(event.x.tolist(), event.y.tolist(), event.z.tolist(), strict=True)
            ]
            for event in events
        ]
    )


def places(number: int, seed: int, size: int) -> Event:
    x, y, z = np.random.default_rng(seed).uniform(40, 900, (3, size)).astype(np.float32)
    return Event(event_id=number, x=x, y=y, z=z)


@pytest.mark.parametrize("kind", ["TTree", "RNTuple"])
def test_edm4hep(tmp_path: Path, kind: str) -> None:
    barrel = [places(70, 1, 30), places(71, 2, 1), places(72, 3, 50)]
    endcap = [places(70, 4, 20), places(71, 5, 2), places(72, 6, 9)]
    header = ak.Array([[{"eventNumber": event.event_id, "weight": 1.0}] for event in barrel])
    columns = {"ITrackerHits": hits_of(barrel, 1), "OTrackerHits": hits_of(endcap, 2), "EventHeader": header}
    simulated = hits_of([places(70, 7, 5)] * 3, 1)
    columns["SimHits"] = simulated[[name for name in simulated.fields if name != "covMatrix"]]
    file = tmp_path / "edm4hep.root"
    with uproot.recreate(file) as root:
        if kind == "RNTuple":
            root.mkrntuple("events", columns)
        else:  # each member a branch, as podio splits them
            flattened = {name: dict(members(array)) for name, array in columns.items()}
            zipped = {name: ak.zip(parts) for name, parts in flattened.items()}
            tree = root.mktree(
                "events",
                {n: ak.type(a).content for n, a in zipped.items()},
                field_name=lambda outer, inner: f"{outer}.{inner}",
            )
            tree.extend(zipped)
    read = list(read_events(file))
    assert count_events(file) == 3
    assert [event.event_id for event in read] == [70, 71, 72]
    for event, inner, outer in zip(read, barrel, endcap, strict=True):
        np.testing.assert_array_equal(event.x, np.concatenate([inner.x, outer.x]))
        np.testing.assert_array_equal(event.z, np.concatenate([inner.z, outer.z]))
        assert event.truth is None
    one = ColumnMapping.parse("x=OTrackerHits.position.x,y=OTrackerHits.position.y,z=OTrackerHits.position.z")
    assert [len(event) for event in read_events(file, columns=one)] == [20, 2, 9]


def members(array: Any, path: str = "") -> list[tuple[str, Any]]:
    if not array.fields:
        return [(path, array)]
    return [pair for name in array.fields for pair in members(array[name], f"{path}.{name}" if path else name)]
