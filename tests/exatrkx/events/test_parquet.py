"""Event files: what is written is read, and what is no event file is refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from handmade import event, particles
from hypothesis import given, settings
from hypothesis import strategies as st

from exatrkx.errors import EventFormatError, OutputError
from exatrkx.events.event import Event, Particles, Truth
from exatrkx.events.parquet import SCHEMA, count_events, read_events
from exatrkx.events.parquet_writer import write_events


def assert_same(found: Event, expected: Event) -> None:
    """Equal to the last bit, NaN included, and of the same types."""
    assert found.event_id == expected.event_id
    pairs = [(getattr(found, name), getattr(expected, name)) for name in ("x", "y", "z")]
    assert (found.truth is None) == (expected.truth is None)
    if found.truth is not None and expected.truth is not None:
        pairs += [(getattr(found.truth, n), getattr(expected.truth, n)) for n in ("spacepoint", "particle", "order")]
        pairs += [
            (getattr(found.truth.particles, f.name), getattr(expected.truth.particles, f.name))
            for f in fields(Particles)
        ]
    for left, right in pairs:
        assert left.dtype == right.dtype
        assert left.tobytes() == right.tobytes()


def without_truth(count: int, event_id: int = 0) -> Event:
    positions = np.random.default_rng(count).normal(size=(3, count)).astype(np.float32)
    return Event(event_id=event_id, x=positions[0], y=positions[1], z=positions[2])


def random_event(seed: int, num_spacepoints: int, num_particles: int, num_hits: int) -> Event:
    rng = np.random.default_rng(seed)
    hits = num_hits if num_spacepoints and num_particles else 0
    made_by = Particles(
        particle_id=rng.integers(0, 2**64, num_particles, dtype=np.uint64),
        pdg=rng.integers(-(2**31), 2**31, num_particles).astype(np.int32),
        primary=rng.random(num_particles) < 0.5,
        **{
            name: rng.normal(scale=1e3, size=num_particles).astype(np.float32)
            for name in ("charge", "vx", "vy", "vz", "px", "py", "pz")
        },
    )
    truth = Truth(
        particles=made_by,
        spacepoint=rng.integers(0, max(num_spacepoints, 1), hits),
        particle=rng.integers(0, max(num_particles, 1), hits),
        order=rng.integers(0, 100, hits),
    )
    return replace(without_truth(num_spacepoints, event_id=int(rng.integers(2**62))), truth=truth)


CASES = {
    "no spacepoints, no truth": without_truth(0),
    "one spacepoint, no truth": without_truth(1),
    "no spacepoints, no particles": event(0, []),
    "no spacepoints, a particle": event(0, [[]]),
    "one spacepoint of no particle": event(1, []),
    "one spacepoint of two particles": event(1, [[0], [0]]),
    "a particle with no hits between two": event(4, [[0, 1], [], [3, 2]]),
    "a particle that comes back": event(2, [[0, 1, 0]]),
    "many": random_event(1, 5000, 300, 6000),
    "not a number": replace(without_truth(3), x=np.array([np.nan, np.inf, -0.0], np.float32)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_is_written_is_read(tmp_path: Path, case: Event) -> None:
    path = tmp_path / "events.parquet"
    assert write_events(path, [case]) == 1
    (found,) = read_events(path)
    assert_same(found, case)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(
    shapes=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5), st.integers(0, 30), st.booleans()), max_size=5),
    data=st.data(),
)
def test_any_events_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, shapes: list[tuple[int, int, int, bool]], data: st.DataObject
) -> None:
    events = [random_event(seed, *shape[:3]) for seed, shape in enumerate(shapes)]
    events = [e if shape[3] else replace(e, truth=None) for e, shape in zip(events, shapes, strict=True)]
    path = tmp_path_factory.mktemp("any") / "events.parquet"
    assert write_events(path, iter(events)) == len(events)
    assert count_events(path) == len(events)
    indices = data.draw(st.lists(st.integers(0, len(events) - 1), max_size=8)) if events else []
    for found, expected in zip(read_events(path), events, strict=True):
        assert_same(found, expected)
    for found, index in zip(read_events(path, indices), indices, strict=True):
        assert_same(found, events[index])


def test_no_events(tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    assert write_events(path, []) == 0
    assert count_events(path) == 0
    assert list(read_events(path)) == []


def test_same_events_same_bytes(tmp_path: Path) -> None:
    events = [random_event(seed, 50, 5, 60) for seed in range(4)]
    write_events(tmp_path / "a", events)
    write_events(tmp_path / "b", (e for e in events))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_each_event_is_read_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    write_events(path, [without_truth(n, event_id=n) for n in range(5)])
    stream = read_events(path, range(1, 10**9))
    assert next(stream).event_id == 1
    stream.close()  # type: ignore[attr-defined]  # a generator


def test_row_groups_of_several_events(tmp_path: Path) -> None:
    """As another tool may have written them."""
    path = tmp_path / "events.parquet"
    events = [random_event(seed, 10, 3, 12) for seed in range(7)]
    write_events(path, events)
    pq.write_table(pq.read_table(path), path, row_group_size=3)
    for found, expected in zip(read_events(path), events, strict=True):
        assert_same(found, expected)
    assert_same(next(read_events(path, [4])), events[4])


@pytest.mark.parametrize("index", [-1, 3, 10**12])
def test_no_such_index(tmp_path: Path, index: int) -> None:
    path = tmp_path / "three.parquet"
    write_events(path, [without_truth(1)] * 3)
    with pytest.raises(EventFormatError, match=rf"three\.parquet: no event of index {index}: the file has 3 events"):
        list(read_events(path, [0, index]))


def test_nothing_is_left_of_an_interrupted_write(tmp_path: Path) -> None:
    def broken() -> Iterator[Event]:
        yield without_truth(3)
        raise RuntimeError("the generator broke")

    path = tmp_path / "events.parquet"
    write_events(path, [without_truth(2)])
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match="the generator broke"):
        write_events(path, broken())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_appears_when_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"

    def watched() -> Iterator[Event]:
        for _ in range(3):
            assert not path.exists()
            yield without_truth(1)

    write_events(path, watched())
    assert path.exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"events\.parquet: cannot be written: No such file"):
        write_events(tmp_path / "none" / "events.parquet", [])


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"spacepoint": np.array([0, 1, 2])}, "hit_spacepoint"),
        ({"spacepoint": np.array([0, -1])}, "hit_spacepoint"),
        ({"particle": np.array([0, 1])}, "hit_particle"),
        ({"order": np.array([0])}, "hit_order"),
        ({"particles": replace(particles(1), pdg=np.zeros(2, np.int32))}, "particle_pdg"),
    ],
)
def test_an_event_that_contradicts_itself_is_not_written(tmp_path: Path, change: dict[str, Any], column: str) -> None:
    good = event(2, [[0, 1]])
    assert good.truth is not None
    bad = replace(good, truth=replace(good.truth, **change))
    with pytest.raises(EventFormatError, match=rf"events\.parquet: event 7: column '.*{column}|'{column}'"):
        write_events(tmp_path / "events.parquet", [bad])
    assert not list(tmp_path.iterdir())


def written(path: Path, columns: dict[str, Any] | None = None, drop: str | None = None) -> Path:
    """A file of one event of two spacepoints and one particle, with columns replaced or dropped."""
    write_events(path, [event(2, [[0, 1]])])
    table = pq.read_table(path)
    for name, column in (columns or {}).items():
        table = table.set_column(table.column_names.index(name), name, column)
    pq.write_table(table.drop_columns([drop]) if drop else table, path)
    return path


@pytest.mark.parametrize("column", SCHEMA.names)
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    path = written(tmp_path / "bad.parquet", drop=column)
    for read in (lambda: list(read_events(path)), lambda: count_events(path)):
        with pytest.raises(EventFormatError, match=rf"bad\.parquet: no column '{column}', found "):
            read()


@pytest.mark.parametrize("column", SCHEMA.names)
def test_a_column_of_another_type_is_named(tmp_path: Path, column: str) -> None:
    path = written(tmp_path / "bad.parquet", {column: pa.array([["a", "b"]])})
    with pytest.raises(
        EventFormatError, match=rf"bad\.parquet: column '{column}' must be of type .*found list<.*string"
    ):
        next(read_events(path))


@pytest.mark.parametrize("column", [name for name in SCHEMA.names if name != "event_id"])
def test_a_null_among_others_is_named(tmp_path: Path, column: str) -> None:
    path = written(tmp_path / "bad.parquet", {column: pa.array([None], SCHEMA.field(column).type)})
    with pytest.raises(EventFormatError, match=rf"bad\.parquet: event 7: column '{column}' is null"):
        next(read_events(path))


@pytest.mark.parametrize("column", [name for name in SCHEMA.names if name != "event_id"])
def test_a_null_in_a_list_is_named(tmp_path: Path, column: str) -> None:
    path = written(tmp_path / "bad.parquet", {column: pa.array([[None, None]], SCHEMA.field(column).type)})
    with pytest.raises(EventFormatError, match=rf"bad\.parquet: event 7: column '{column}' has nulls"):
        next(read_events(path))


def test_a_null_event_id(tmp_path: Path) -> None:
    path = written(tmp_path / "bad.parquet", {"event_id": pa.array([None], pa.int64())})
    with pytest.raises(EventFormatError, match=r"bad\.parquet: column 'event_id' has a null"):
        next(read_events(path))


@pytest.mark.parametrize("column", ["y", "z", "hit_particle", "hit_order", "particle_px", "particle_primary"])
def test_lists_of_different_lengths_are_named(tmp_path: Path, column: str) -> None:
    kind = SCHEMA.field(column).type
    path = written(tmp_path / "bad.parquet", {column: pa.array([[0, 0, 0]], pa.list_(pa.int32())).cast(kind)})
    with pytest.raises(
        EventFormatError, match=rf"bad\.parquet: event 7: column '{column}' has 3 values, '.*' has [12]$"
    ):
        next(read_events(path))


@pytest.mark.parametrize(("column", "values"), [("hit_spacepoint", [0, 2]), ("hit_particle", [-1, 0])])
def test_an_index_that_points_at_nothing_is_named(tmp_path: Path, column: str, values: list[int]) -> None:
    path = written(tmp_path / "bad.parquet", {column: pa.array([values], pa.list_(pa.int32()))})
    with pytest.raises(EventFormatError, match=rf"bad\.parquet: event 7: column '{column}' points outside"):
        next(read_events(path))


def test_more_columns_do_no_harm(tmp_path: Path) -> None:
    path = written(tmp_path / "more.parquet")
    pq.write_table(pq.read_table(path).append_column("weight", pa.array([1.0])), path)
    assert len(next(read_events(path))) == 2


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 and no more PAR1", b"x,y,z\n1,2,3\n"])
def test_what_is_no_parquet_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.parquet"
    path.write_bytes(content)
    with pytest.raises(EventFormatError, match=r"bad\.parquet: not a Parquet file"):
        next(read_events(path))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(EventFormatError, match=r"none\.parquet: no such file"):
        count_events(tmp_path / "none.parquet")


def test_damaged_data(tmp_path: Path) -> None:
    path = tmp_path / "damaged.parquet"
    write_events(path, [random_event(1, 1000, 10, 1000)])
    content = bytearray(path.read_bytes())
    content[100:4000] = bytes(3900)
    path.write_bytes(content)
    with pytest.raises(EventFormatError, match=r"damaged\.parquet: row group 0 cannot be read"):
        next(read_events(path))


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    metadata = pq.read_schema(written(tmp_path / "events.parquet")).metadata
    assert metadata[b"format"] == b"exatrkx-events"
    assert metadata[b"version"] == b"1"
    assert (metadata[b"length"], metadata[b"momentum"], metadata[b"charge"]) == (b"mm", b"GeV", b"e")


def test_one_row_group_per_event(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    write_events(path, [without_truth(n) for n in range(5)])
    assert pq.read_metadata(path).num_row_groups == 5


BUNDLED = Path(__file__).parents[3] / "data" / "events"


@pytest.mark.parametrize(
    ("name", "numbers", "fewest", "most"), [("mu0", range(20), 862, 3369), ("mu10", range(20, 22), 5535, 8950)]
)
def test_bundled_events(name: str, numbers: range, fewest: int, most: int) -> None:
    """As data/events/README.md describes them."""
    events = list(read_events(BUNDLED / f"ttbar_{name}.parquet"))
    assert [e.event_id for e in events] == list(numbers)
    sizes = [len(e) for e in events]
    assert (min(sizes), max(sizes)) == (fewest, most)
    for e in events:
        assert e.truth is not None
        assert np.all(np.isfinite(e.x + e.y + e.z))
        assert np.bincount(e.truth.spacepoint, minlength=len(e)).min() == 1


def test_bundled_events_are_small() -> None:
    assert sum(path.stat().st_size for path in BUNDLED.glob("*.parquet")) < 1_800_000
