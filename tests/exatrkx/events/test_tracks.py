"""Tracks as files, in both formats and both forms, and back."""

from __future__ import annotations

import math
from pathlib import Path

import handmade
import helices
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exatrkx.errors import EventFormatError, OutputError
from exatrkx.events.event import Event
from exatrkx.events.event import IntArray as Labels
from exatrkx.events.readers import read_events
from exatrkx.events.saved_tracks import SavedTracks, read_labels
from exatrkx.events.tracks import Per, TracksWriter, group_by_label
from exatrkx.fitting.settings import FitSettings
from exatrkx.fitting.tracks import TRACK_FIT, fit_tracks
from exatrkx.project_files import project_files

COLUMNS = {"event_id": [7, 7, 7], "spacepoint": [0, 2, 1], "label": [4, 4, 0]}

every_form = pytest.mark.parametrize("per", ["spacepoint", "track"])
every_format = pytest.mark.parametrize("suffix", [".parquet", ".csv", ".root"])


def event_of(number: int, size: int) -> Event:
    x = np.linspace(-1000, 1000, size, dtype=np.float32)
    return Event(event_id=number, x=x, y=x / 3, z=x * 2)


def labels_of(*values: int) -> Labels:
    return np.array(values, dtype=np.int64)


@every_form
@every_format
def test_what_is_written_is_read(tmp_path: Path, per: Per, suffix: str) -> None:
    file = tmp_path / "deep" / f"tracks{suffix}"
    written = {3: labels_of(1, 0, -1, 0, 1, 1), 1: labels_of(0), 2: labels_of(-1, 0, -1)}
    with TracksWriter(file, per) as writer:
        for number, labels in written.items():
            writer.write(event_of(number, len(labels)), labels)
    for number, labels in written.items():
        np.testing.assert_array_equal(read_labels(file, event_of(number, len(labels))), labels)


def test_the_columns_of_each_form(tmp_path: Path) -> None:
    event = event_of(5, 4)
    for per in ("spacepoint", "track"):
        with TracksWriter(tmp_path / f"{per}.parquet", per) as writer:
            writer.write(event, labels_of(1, -1, 0, 1))
    rows = pq.read_table(tmp_path / "spacepoint.parquet").to_pydict()
    assert list(rows) == ["event_id", "spacepoint", "x", "y", "z", "label"]
    assert (rows["event_id"], rows["spacepoint"], rows["label"]) == ([5] * 4, [0, 1, 2, 3], [1, -1, 0, 1])
    np.testing.assert_array_equal(np.float32(rows["y"]), event.y)
    tracks = pq.read_table(tmp_path / "track.parquet").to_pydict()
    assert list(tracks) == ["event_id", "label", "spacepoints", *(TRACK_FIT.names or ())[1:]]
    assert (tracks["event_id"], tracks["label"], tracks["spacepoints"]) == ([5, 5], [0, 1], [[2], [0, 3]])
    assert (tracks["charge"], tracks["ndf"]) == ([0, 0], [0, 0])
    assert all(math.isnan(one) for name in ("pt", "d0_error", "chi2") for one in tracks[name])


@every_format
def test_the_fit_of_each_candidate_is_in_its_row(tmp_path: Path, suffix: str) -> None:
    event = next(iter(read_events(project_files().events)))
    labels = helices.true_labels(event)
    settings = FitSettings(field=-1.5, beam=(0.2, -0.1))
    file = tmp_path / f"tracks{suffix}"
    with TracksWriter(file, "track", fit=settings) as writer:
        writer.write(event, labels)
    rows = SavedTracks.read(file).table
    fits = fit_tracks(event.x, event.y, event.z, labels, settings)
    assert np.isfinite(fits["pt"]).sum() > 100
    for name in TRACK_FIT.names or ():
        np.testing.assert_allclose(rows[name].to_numpy(), fits[name], rtol=1e-12, err_msg=name)
    np.testing.assert_array_equal(read_labels(file, event), labels)


def test_csv_keeps_every_digit_of_a_position(tmp_path: Path) -> None:
    event = event_of(5, 100)
    with TracksWriter(tmp_path / "t.csv") as writer:
        writer.write(event, np.zeros(100, dtype=np.int64))
    np.testing.assert_array_equal(pa_csv.read_csv(tmp_path / "t.csv")["y"].to_numpy().astype(np.float32), event.y)


@every_form
@every_format
def test_a_file_of_no_events_and_one_of_an_empty_event(tmp_path: Path, per: Per, suffix: str) -> None:
    for name, events in (("none", []), ("empty", [event_of(0, 0)])):
        with TracksWriter(tmp_path / f"{name}{suffix}", per) as writer:
            for event in events:
                writer.write(event, labels_of())
        assert read_labels(tmp_path / f"{name}{suffix}", event_of(0, 0)).shape == (0,)


def test_an_event_without_a_single_track_has_rows_per_spacepoint(tmp_path: Path) -> None:
    with TracksWriter(tmp_path / "t.parquet") as writer:
        writer.write(event_of(0, 3), labels_of(-1, -1, -1))
    assert read_labels(tmp_path / "t.parquet", event_of(0, 3)).tolist() == [-1, -1, -1]


@every_form
@every_format
def test_times_of_events(tmp_path: Path, per: Per, suffix: str) -> None:
    file = tmp_path / f"t{suffix}"
    with TracksWriter(file, per, timed=True) as writer:
        writer.write(event_of(2, 3), labels_of(0, 0, 1), seconds=0.25)
        writer.write(event_of(1, 0), labels_of(), seconds=0.5)
        writer.write(event_of(0, 2), labels_of(0, 0), seconds=2.0)
        with pytest.raises(ValueError, match="event 3: seconds are of a timed file, found None"):
            writer.write(event_of(3, 1), labels_of(0))
    saved = SavedTracks.read(file)
    assert [saved.seconds(event_of(number, 3)) for number in (0, 2)] == [2.0, 0.25]
    assert math.isnan(saved.seconds(event_of(1, 0))), "no rows, no time"
    with TracksWriter(file, per) as writer:
        writer.write(event_of(2, 3), labels_of(0, 0, 1))
        with pytest.raises(ValueError, match=r"found 0\.1"):
            writer.write(event_of(3, 1), labels_of(0), seconds=0.1)
    assert math.isnan(SavedTracks.read(file).seconds(event_of(2, 3)))


def test_rows_in_any_order(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("label,spacepoint,event_id\n4,1,7\n0,0,1\n-9,0,7\n4,2,7\n")
    saved = SavedTracks.read(file)
    assert saved.rows.keys() == {1, 7}
    assert saved.labels(event_of(7, 3)).tolist() == [-9, 4, 4]


def test_labels_must_be_whole_numbers(tmp_path: Path) -> None:
    table = pa.table({"event_id": [7], "label": [0.5], "spacepoint": [0]})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(EventFormatError, match="column 'label' must be of integers, found double"):
        SavedTracks.read(tmp_path / "t.parquet")


def test_integers_of_any_type(tmp_path: Path) -> None:
    for kind in (pa.uint8(), pa.int32(), pa.uint64()):
        table = pa.table({name: pa.array(values, kind) for name, values in COLUMNS.items()})
        pq.write_table(table, tmp_path / "t.parquet")
        assert read_labels(tmp_path / "t.parquet", event_of(7, 3)).tolist() == [4, 0, 4]


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("spacepoint", pa.array([0, 1, 2**64 - 1], pa.uint64()), "cannot be read: Integer value 18446744073709551615"),
        ("label", pa.array([0, 1, 2**64 - 1], pa.uint64()), "cannot be read: Integer value 18446744073709551615"),
        ("spacepoints", [[0], [1, None], [2]], "event 7: column 'spacepoints' has lists with nulls"),
        ("spacepoints", [[0], None, [2]], "column 'spacepoints' has nulls"),
    ],
)
def test_columns_that_no_writer_of_ours_makes(tmp_path: Path, column: str, values: object, reason: str) -> None:
    columns: dict[str, object] = {**COLUMNS, column: values}
    if column == "spacepoints":
        del columns["spacepoint"]
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    with pytest.raises(EventFormatError, match=rf"t\.parquet: {reason}"):
        read_labels(tmp_path / "t.parquet", event_of(7, 3))


@every_format
@pytest.mark.parametrize("before", [None, b"of an earlier run"])
def test_an_error_leaves_what_was_there(tmp_path: Path, suffix: str, before: bytes | None) -> None:
    def interrupted() -> None:
        with TracksWriter(tmp_path / f"t{suffix}") as writer:
            writer.write(event_of(0, 2), labels_of(0, 0))
            raise RuntimeError("interrupted")

    if before is not None:
        (tmp_path / f"t{suffix}").write_bytes(before)
    with pytest.raises(RuntimeError, match="interrupted"):
        interrupted()
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([] if before is None else [before])


def test_many_small_events_share_a_row_group(tmp_path: Path) -> None:
    with TracksWriter(tmp_path / "t.parquet") as writer:
        for number in range(200):
            writer.write(event_of(number, 1000), np.zeros(1000, dtype=np.int64))
    assert pq.ParquetFile(tmp_path / "t.parquet").num_row_groups == 2


@pytest.mark.parametrize("name", ["tracks", "tracks.json", "tracks.csv.gz"])
def test_no_other_formats_are_known(tmp_path: Path, name: str) -> None:
    with pytest.raises(EventFormatError, match=r"a file of tracks ends in \.parquet or \.csv or \.root, found "):
        TracksWriter(tmp_path / name)


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"), TracksWriter(tmp_path / "file" / "tracks.csv"):
        pass


@every_format
def test_a_disk_that_is_full(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"tracks{suffix}"
    file.symlink_to("/dev/full")
    with pytest.raises(OutputError, match=rf"tracks\{suffix}: cannot be written: .*No space left"):
        write_one(file)


def write_one(file: Path) -> None:
    with TracksWriter(file) as writer:
        writer.write(event_of(1, 3), labels_of(0, 0, 0))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "event_id,label\n1,0\n",
            "expected columns event_id, label and spacepoint or spacepoints, found event_id, label",
        ),
        ("event_id,label,spacepoint\n1,0,0\n", "no tracks of event 7 in it"),
        ("event_id,label,spacepoint\n7,0,5\n", "event 7 has 5 spacepoints, found spacepoint 5"),
        ("event_id,label,spacepoint\n7,0,-2\n", "event 7 has 5 spacepoints, found spacepoint -2"),
        ("event_id,label,spacepoints\n7,0,1 9\n", "event 7 has 5 spacepoints, found spacepoint 9"),
        ("event_id,label,spacepoints\n7,0,1 1\n", "event 7: spacepoint 1 comes 2 times"),
        ("event_id,label,spacepoints\n7,0,1 2\n7,1,2 3\n", "event 7: spacepoint 2 comes 2 times"),
        ("event_id,label,spacepoints\n1,0,0\n", "no tracks of event 7 in it; one in which none was found needs"),
        ("event_id,label,spacepoint\n7,0,0\n7,0,1\n", "event 7 has 5 spacepoints, found rows of 2"),
        ("event_id,label,spacepoint,x\n7,0,0,30\n7,0,1,30.5\n", "another one: spacepoint 1 has x = 31 mm, found 30.5"),
        ("event_id,label,spacepoint\n7,,0\n", "column 'label' has nulls"),
        ("event_id,label,spacepoints\n7,0,1;2\n", "cannot be read"),
        ("event_id,label,spacepoint\n7,zero,1\n", "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_files_that_do_not_fit_the_event(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(EventFormatError, match=rf"t\.csv: .*{reason}"):
        read_labels(tmp_path / "t.csv", handmade.event(5, []))


def test_a_file_that_is_not_there_or_no_parquet(tmp_path: Path) -> None:
    with pytest.raises(EventFormatError, match="cannot be read"):
        read_labels(tmp_path / "absent.parquet", handmade.event(5, []))
    (tmp_path / "text.parquet").write_text("PAR1, but no more")
    with pytest.raises(EventFormatError, match="cannot be read"):
        read_labels(tmp_path / "text.parquet", handmade.event(5, []))


@given(st.lists(st.integers(-3, 5), max_size=20))
@settings(derandomize=True, deadline=None)
def test_groups_are_the_spacepoints_of_each_label(values: list[int]) -> None:
    names, groups = group_by_label(labels_of(*values))
    assert {int(name): group.tolist() for name, group in zip(names, groups, strict=True)} == {
        label: [i for i, value in enumerate(values) if value == label] for label in sorted(set(values)) if label >= 0
    }
