"""HDF5 files in the layouts that people choose: each gives the same events as any other table."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from sample_tables import NAMES, Sample, same, samples

from exatrkx.errors import EventFormatError
from exatrkx.events.columns import ColumnMapping
from exatrkx.events.readers import count_events, event_files, read_events

h5py = pytest.importorskip("h5py")

MAPPING: Final = ",".join(f"{key}={name}" for key, name in NAMES.items())


def flat(events: list[Sample]) -> dict[str, Any]:
    return {name: np.concatenate([event.columns[name] for event in events]) for name in NAMES.values()}


def write_datasets(root: Any, events: list[Sample]) -> None:
    for name, column in flat(events).items():
        root.create_dataset(name, data=column, compression="gzip")


def write_group(root: Any, events: list[Sample]) -> None:
    root["made by"] = "somebody"
    write_datasets(root.create_group("run7/hits"), events)
    root["run7/cells/energy"] = np.zeros(5)


def write_big_endian(root: Any, events: list[Sample]) -> None:
    for name, column in flat(events).items():
        root[name] = column.astype(column.dtype.newbyteorder(">"))


def write_records(root: Any, events: list[Sample]) -> None:
    columns = flat(events)
    records = np.zeros(len(columns["evt"]), dtype=[(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        records[name] = column
    root["hits"] = records


def write_lists(root: Any, events: list[Sample]) -> None:
    for name in NAMES.values():
        kind = events[0].columns[name].dtype
        dataset = root.create_dataset(name, len(events), dtype=kind if name == "evt" else h5py.vlen_dtype(kind))
        for place, event in enumerate(events):
            dataset[place] = event.number if name == "evt" else event.columns[name]


def write_event_groups(root: Any, events: list[Sample]) -> None:
    for event in reversed(events):
        group = root.create_group(f"event_{event.number}/hits")
        for name in NAMES.values():
            if name != "evt":
                group[name] = event.columns[name]


LAYOUTS: Final[dict[str, tuple[Callable[[Any, list[Sample]], None], str]]] = {
    "datasets": (write_datasets, MAPPING),
    "big-endian": (write_big_endian, MAPPING),
    "a group": (write_group, MAPPING),
    "a group by name": (write_group, f"{MAPPING},table=run7/hits"),
    "records": (write_records, MAPPING),
    "records by name": (write_records, f"{MAPPING},table=hits"),
    "lists": (write_lists, MAPPING),
    "a group for each event": (
        write_event_groups,
        ",".join(f"{key}=hits/{name}" for key, name in NAMES.items() if key != "event"),
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path: Path, layout: str) -> None:
    write, mapping = LAYOUTS[layout]
    with h5py.File(tmp_path / "any", "w") as root:
        write(root, samples())
    columns = ColumnMapping.parse(mapping)
    assert count_events(tmp_path / "any", columns) == len(samples())
    for event, expected in zip(read_events(tmp_path / "any", columns=columns), samples(), strict=True):
        same(event, expected)


def test_usual_names_need_no_mapping_and_foreign_files_are_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (expected, *_) = samples()
    with h5py.File(tmp_path / "e7.h5", "w") as root:
        for name in ("x", "y", "z"):
            root[name] = expected.columns[f"sp_{name}"]
    with h5py.File(tmp_path / "weights.h5", "w") as root:
        root["layer1/kernel"] = np.zeros((3, 3))
    (event,) = read_events(tmp_path)
    assert (event.event_id, event.truth) == (7, None)
    np.testing.assert_allclose(event.x, expected.columns["sp_x"], rtol=1e-6)
    assert [record.message.rpartition(": ")[2] for record in caplog.records] == ["weights.h5"]
    assert event_files(tmp_path) == [tmp_path / "e7.h5"]


def test_ten_thousand_events_are_streamed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "e.h5", "w") as root:
        for name in ("x", "y", "z"):
            root.create_dataset(name, data=np.full(10_000 * 500, 30, dtype=np.float32), chunks=(5000,))
        root["event_id"] = np.repeat(np.arange(10_000), 500)
    tracemalloc.start()
    try:
        count = sum(len(event) == 500 for event in read_events(tmp_path / "e.h5"))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 10_000
    assert most < 60e6 / 2  # the positions alone are 60 MB


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        ("x=sp_x,y=sp_y,z=up", "/run7/hits: column 'up' is missing; found 'evt', 'mom_x', .*'sp_x'"),
        ("table=run8", "no group or dataset 'run8' in it, found 'made by', 'run7', "),
        (
            "x=sp_x,y=sp_y,z=sp_z,table=run7/cells",
            "/run7/cells: column 'sp_x', 'sp_y', 'sp_z' is missing; found 'energy'$",
        ),
    ],
)
def test_what_is_not_there(tmp_path: Path, mapping: str, reason: str) -> None:
    with h5py.File(tmp_path / "e.h5", "w") as root:
        write_group(root, samples())
    with pytest.raises(EventFormatError, match=rf"^{tmp_path}/e\.h5: {reason}"):
        list(read_events(tmp_path / "e.h5", columns=ColumnMapping.parse(mapping)))


def test_a_file_cut_off(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "e.h5", "w") as root:
        write_datasets(root, samples())
    content = (tmp_path / "e.h5").read_bytes()
    (tmp_path / "e.h5").write_bytes(content[: len(content) // 2])
    with pytest.raises(EventFormatError, match=r"e\.h5: not an HDF5 file that can be read: ") as refused:
        list(read_events(tmp_path / "e.h5"))
    assert "\n" not in str(refused.value)


def test_an_event_without_a_dataset(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "e.h5", "w") as root:
        write_event_groups(root, samples())
        del root["event_6/hits/sp_z"]
    columns = ColumnMapping.parse("x=hits/sp_x,y=hits/sp_y,z=hits/sp_z")
    with pytest.raises(EventFormatError, match=r"e\.h5: group 'event_6': no dataset 'hits/sp_z'"):
        list(read_events(tmp_path / "e.h5", columns=columns))
