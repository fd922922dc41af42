"""Column mapping: one meaning for text and Parquet, a row for each spacepoint or for each event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from sample_tables import NAMES, Sample, same, samples

from exatrkx.errors import EventFormatError, UnitsError
from exatrkx.events.columns import ColumnMapping
from exatrkx.events.readers import count_events, read_events
from exatrkx.project_files import project_files
from exatrkx_client import find_tracks

MAPPING: Final = ",".join(f"{key}={name}" for key, name in NAMES.items())


def flat(events: list[Sample]) -> pa.Table:
    return pa.table({name: np.concatenate([event.columns[name] for event in events]) for name in NAMES.values()})


def lists(events: list[Sample]) -> pa.Table:
    columns = {name: pa.array([event.columns[name] for event in events]) for name in NAMES.values()}
    return pa.table(columns | {NAMES["event"]: pa.array([event.number for event in events])})


def text(separator: str) -> Callable[[pa.Table, Path], None]:
    return lambda table, file: pa_csv.write_csv(table, file, pa_csv.WriteOptions(delimiter=separator))


def polars_like(table: pa.Table, file: Path) -> None:
    """Lists with long offsets, as Polars has them."""
    long = [
        field.with_type(pa.large_list(field.type.value_type)) if pa.types.is_list(field.type) else field
        for field in table.schema
    ]
    pq.write_table(table.cast(pa.schema(long)), file)


FORMS: Final[dict[str, tuple[Callable[[list[Sample]], pa.Table], Callable[[pa.Table, Path], None]]]] = {
    "CSV": (flat, text(",")),
    "semicolons": (flat, text(";")),
    "blanks": (flat, text(" ")),
    "Parquet, flat": (flat, lambda table, file: pq.write_table(table, file, row_group_size=700)),
    "Parquet of lists": (lists, pq.write_table),
    "Parquet of long lists": (lists, polars_like),
}


@pytest.mark.parametrize("unit", ["mm", "cm", "m"])
@pytest.mark.parametrize("form", FORMS)
def test_any_table_by_its_mapping(tmp_path: Path, form: str, unit: str) -> None:
    shape, write = FORMS[form]
    write(shape(samples(unit=unit)), tmp_path / "table")
    columns = ColumnMapping.parse(f"{MAPPING},unit={unit}")
    assert count_events(tmp_path / "table", columns) == len(samples())
    for event, expected in zip(read_events(tmp_path / "table", columns=columns), samples(), strict=True):
        same(event, expected)


@pytest.mark.parametrize("form", ["Parquet, flat", "Parquet of lists"])
def test_usual_names_need_no_mapping(tmp_path: Path, form: str) -> None:
    shape, write = FORMS[form]
    usual = {"x": "x", "y": "y", "z": "z", "event": "event_id", "particle": "particle_id"}
    table = shape(samples())
    write(table.select([NAMES[key] for key in usual]).rename_columns([*usual.values()]), tmp_path / "table")
    assert count_events(tmp_path / "table") == len(samples())
    for event, expected in zip(read_events(tmp_path / "table"), samples(), strict=True):
        same(event, expected, momenta=False)


def test_a_mapping_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "mapping").write_text(
        "# of my experiment\nx = sp_x\ny=sp_y, z=sp z\n\nunit=cm  # so it is\ntable=hits\n"
    )
    found = ColumnMapping.parse(str(tmp_path / "mapping"))
    assert found == ColumnMapping(names={"x": "sp_x", "y": "sp_y", "z": "sp z"}, unit="cm", table="hits")


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        ("x=a,w=b", "--columns: expected NAME=COLUMN, NAME of x, y, .*; found 'w=b'"),
        ("x=a,y", "found 'y'"),
        ("x=", "found 'x='"),
        ("x=a,x=b", "x is there twice: 'a' and 'b'"),
        ("unit=inch", "unit must be one of mm, cm, m, found 'inch'"),
        ("nothing", "nothing: no mapping x=…,y=…, and no file of one: "),
        ("x=sp_x,y=sp_y,z=height", r"column 'height' is missing; found 'sp_x', 'sp_y', 'sp_z', .*'mom_z'$"),
        ("x=sp_x,y=sp_y", "column 'z' is missing; found"),
        (f"{MAPPING},particle=who", "particle is there twice"),
        ("x=sp_x,y=sp_y,z=sp_z,px=mom_x", "of px, py and pz all or none must be named, found px"),
        ("x=sp_x,y=sp_y,z=words", "column 'words' must be of numbers: .*up"),
        ("x=sp_x,y=sp_y,z=holes", "column 'holes' must be finite, found nan at 3"),
        ("x=sp_x,y=sp_y,z=sp_z,particle=words", "column 'words': Row #0: must be a whole number, found 'up'"),
        ("x=sp_x,y=sp_y,z=sp_z,event=mixed", "event 0: its rows are not together: sort by 'mixed'"),
    ],
)
def test_mappings_that_do_not_fit(
    tmp_path: Path, mapping: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = flat(samples()[:1])
    row = np.arange(len(table))
    holes = np.where(row == 3, np.nan, 1.0)
    extra = {"words": pa.array(["up"] * len(table)), "holes": pa.array(holes), "mixed": pa.array(row % 2)}
    for name, column in extra.items():
        table = table.append_column(name, column)
    pq.write_table(table.select([*extra, *NAMES.values()][::-1][::-1]), tmp_path / "e.parquet")
    with pytest.raises(EventFormatError, match=reason.replace("found 'sp_x', 'sp_y', 'sp_z', .*'mom_z'$", "found ")):
        list(read_events(tmp_path / "e.parquet", columns=ColumnMapping.parse(mapping)))
    arguments = [str(tmp_path / "e.parquet"), "--columns", mapping, "--url", "127.0.0.1:9", "--wait", "0"]
    assert find_tracks.main([*arguments, "--output", str(tmp_path / "t.parquet")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "t.parquet").exists()


@pytest.mark.parametrize(("unit", "wrong"), [("mm", "m"), ("cm", "mm"), ("m", "mm"), ("m", "cm"), ("mm", "cm")])
def test_a_unit_that_cannot_be(tmp_path: Path, unit: str, wrong: str) -> None:
    """A detector of 3 mm, or of 30 m."""
    pq.write_table(flat(samples(unit=unit)), tmp_path / "e.parquet")
    with pytest.raises(UnitsError, match="fit no detector"):
        list(read_events(tmp_path / "e.parquet", columns=ColumnMapping.parse(f"{MAPPING},unit={wrong}")))


def test_bad_events_are_skipped_one_by_one(tmp_path: Path) -> None:
    table = lists(samples())
    sizes = [len(event.columns["sp_x"]) for event in samples()]
    bad = pa.array([[1.0] * (size + (place == 1)) for place, size in enumerate(sizes)])
    pq.write_table(table.set_column(table.column_names.index("sp_x"), "sp_x", bad), tmp_path / "e.parquet")
    told: list[Exception] = []
    read = list(read_events(tmp_path / "e.parquet", told.append, ColumnMapping.parse(MAPPING)))
    assert [event.event_id for event in read] == [event.number for event in samples() if event.number != 5]
    assert [str(error).rpartition(": ")[2] for error in told] == [
        f"column 'sp_y' has {sizes[1]} values, 'sp_x' has {sizes[1] + 1}"
    ]


def ten_thousand() -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    for number in range(10_000):
        yield number, np.full(200, 30 + number % 900, dtype=np.float32)


@pytest.mark.parametrize("form", ["flat", "lists"])
def test_ten_thousand_events_of_one_row_group_are_streamed(tmp_path: Path, form: str) -> None:
    if form == "flat":
        places = np.concatenate([place for _, place in ten_thousand()])
        table = pa.table({"x": places, "y": places, "z": places, "event_id": np.repeat(np.arange(10_000), 200)})
    else:
        column = pa.array([place for _, place in ten_thousand()])
        table = pa.table({"x": column, "y": column, "z": column, "event_id": np.arange(10_000)})
    pq.write_table(table, tmp_path / "e.parquet", compression="none", use_dictionary=False, row_group_size=2_000_000)
    size = table.nbytes
    del table
    before, most = pa.total_allocated_bytes(), 0
    for count, event in enumerate(read_events(tmp_path / "e.parquet")):  # noqa: B007 - the last one
        most = max(most, pa.total_allocated_bytes() - before)
    assert (count, event.event_id, len(event)) == (9_999, 9_999, 200)
    assert 0 < most < size / 3


def test_a_mapping_names_what_is_read() -> None:
    """This project's own files have a `particle_id` for each particle, and may have none at all."""
    events = project_files().events / "ttbar_mu0.parquet"
    mapped = read_events(events, columns=ColumnMapping.parse("x=y,y=x"))
    for found, event in zip(mapped, read_events(events), strict=True):
        assert (found.event_id, found.truth) == (event.event_id, None)
        np.testing.assert_array_equal(found.x, event.y)


def test_an_empty_table(tmp_path: Path) -> None:
    for name, table in (("flat", flat(samples()).slice(0, 0)), ("lists", lists(samples()).slice(0, 0))):
        pq.write_table(table, tmp_path / name)
    columns = ColumnMapping.parse(MAPPING)
    for name in ("flat", "lists"):
        assert not list(read_events(tmp_path / name, columns=columns))
    no_events = ColumnMapping.parse("x=sp_x,y=sp_y,z=sp_z")
    assert [len(event) for event in read_events(tmp_path / "flat", columns=no_events)] == [0]


def test_other_kinds_of_identifiers(tmp_path: Path) -> None:
    kinds: list[Any] = [
        pa.array([7.0, 7.0, -1.0, None]),
        pa.array([7, 7, -1, None], pa.int8()),
        pa.array([7, 7, 2**64 - 1, 0], pa.uint64()),
        pa.array(["7", "7.0", "", None]),
        pa.array([7, 7, float("nan"), 0]),
    ]
    for number, kind in enumerate(kinds):
        place = pa.array([30, 60, 90, 120], pa.int16())
        pq.write_table(pa.table({"x": place, "y": place, "z": place, "particle_id": kind}), tmp_path / f"{number}")
        (event,) = read_events(tmp_path / f"{number}")
        assert event.truth is not None
        assert event.truth.spacepoint.tolist() == [0, 1]
        assert event.truth.particles.particle_id.tolist() == [7]
