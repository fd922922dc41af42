"""Events as other programs write them: quotes, separators, compression, kinds of numbers, foreign files, sizes."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from exatrkx.errors import EventFormatError
from exatrkx.events.event import Event
from exatrkx.events.parquet_writer import write_events
from exatrkx.events.readers import count_events, event_files, input_files, read_events
from exatrkx.project_files import project_files

BIG: Final = 2**53 + 1
"""An identifier that no floating-point number is."""
HITS: Final = [(1, 30.0, 0.0, 1.0), (2, 60.0, 0.0, 2.0), (3, 90.0, 0.0, 3.0), (4, -30.0, 5.0, -1.0)]
MADE: Final = [(1, BIG), (2, BIG), (3, BIG), (4, 0)]


def text(header: list[str], rows: list[Any], separator: str = ",", quoting: Any = csv.QUOTE_MINIMAL) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=separator, quoting=quoting)
    writer.writerows([header, *rows])
    return stream.getvalue()


def hits(**how: Any) -> str:
    return text(["hit_id", "x", "y", "z"], HITS, **how)


def truth(particles: list[Any] | None = None, **how: Any) -> str:
    made = [particle for _, particle in MADE] if particles is None else particles
    return text(["hit_id", "particle_id"], [(hit, name) for (hit, _), name in zip(MADE, made, strict=True)], **how)


def written(folder: Path, name: str = "event1-hits.csv", **parts: str) -> Path:
    """`event1-PART.csv` for each part, and the file of this name."""
    for part, content in parts.items():
        (folder / f"event1-{part}.csv").write_text(content)
    return folder / name


def made_by(event: Event) -> dict[int, int]:
    assert event.truth is not None
    names = event.truth.particles.particle_id[event.truth.particle]
    return dict(zip(event.truth.spacepoint.tolist(), names.tolist(), strict=True))


def same(event: Event) -> None:
    np.testing.assert_array_equal(np.stack([event.x, event.y, event.z], axis=1), [row[1:] for row in HITS])
    assert made_by(event) == {0: BIG, 1: BIG, 2: BIG}


@pytest.mark.parametrize("quoting", [csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_MINIMAL])
@pytest.mark.parametrize("separator", [",", ";", "\t", " "])
def test_quotes_and_separators(tmp_path: Path, separator: str, quoting: int) -> None:
    how: dict[str, Any] = {"separator": separator, "quoting": quoting}
    (event,) = read_events(written(tmp_path, hits=hits(**how), truth=truth(**how)))
    same(event)


def test_columns_in_blanks(tmp_path: Path) -> None:
    aligned = "  x      y     z\n 30.0   40.0  -5\n  6.5  80.0    1\n"
    (tmp_path / "e.txt").write_text(aligned)
    (event,) = read_events(tmp_path / "e.txt")
    np.testing.assert_array_equal(event.x, [30.0, 6.5])
    (tmp_path / "f.txt").write_text(" 0.03  0.5   -0.1\n0.06 0.5 -0.2 \n")
    (features,) = read_events(tmp_path / "f.txt")
    np.testing.assert_allclose(features.y, [30, 60], rtol=1e-6)


def zipped(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("some folder/", b"")
        archive.writestr("some folder/inside.csv", content)
    return stream.getvalue()


COMPRESSORS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zip": zipped,
}


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_compressed_under_any_name(tmp_path: Path, kind: str) -> None:
    for name in ("event1-hits.csv", f"event2-hits.csv.{kind}", "anything"):
        (tmp_path / name).write_bytes(COMPRESSORS[kind](hits().encode()))
    (tmp_path / f"event2-truth.csv.{kind}").write_bytes(COMPRESSORS[kind](truth().encode()))
    assert len(next(read_events(tmp_path / "anything"))) == len(HITS)
    first, second = read_events(tmp_path)
    assert first.truth is None
    same(second)
    assert len(input_files(tmp_path)) == 3


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_compressed_and_cut_off(tmp_path: Path, kind: str) -> None:
    content = COMPRESSORS[kind](hits().encode() + np.random.default_rng(1).bytes(3000).hex().encode())
    (tmp_path / "e.csv").write_bytes(content[: len(content) // 2])
    with pytest.raises(EventFormatError, match=rf"^{tmp_path}/e\.csv: cannot be read: .+"):
        list(read_events(tmp_path / "e.csv"))


@pytest.mark.parametrize("particles", [[BIG, BIG, BIG, "-1"], [BIG, BIG, BIG, ""], [BIG, BIG, BIG, "nan"]])
def test_noise_by_other_names(tmp_path: Path, particles: list[Any]) -> None:
    (event,) = read_events(written(tmp_path, hits=hits(), truth=truth(particles)))
    same(event)


def test_identifiers_with_a_fraction_of_zero(tmp_path: Path) -> None:
    floats = truth([7.0, "7.", "4.503599627370497e+15", -1.0]).replace("\n1,", "\n1.0,")
    (event,) = read_events(written(tmp_path, hits=hits().replace("\n1,", "\n1.0,"), truth=floats))
    assert made_by(event) == {0: 7, 1: 7, 2: 4503599627370497}


@pytest.mark.parametrize(
    ("particle", "reason"),
    [
        (float(2**53), "has lost digits: write it as a whole number, found '9007199254740992.0'"),
        (1.5, "must be a whole number, found '1.5'"),
        ("muon", "must be a whole number, found 'muon'"),
        ("inf", "must be a whole number, found 'inf'"),
        (2**64, "must be in 0 … 18446744073709551615, found '18446744073709551616'"),
        (-2, "must be in 0 … 18446744073709551615, found '-2'"),
    ],
)
def test_what_is_no_particle(tmp_path: Path, particle: object, reason: str) -> None:
    file = written(tmp_path, hits=hits(), truth=truth([5, 5, particle, 0]))
    with pytest.raises(EventFormatError, match=rf"event1-truth\.csv: column 'particle_id': Row #4: .*{reason}$"):
        list(read_events(file))


def test_foreign_files_in_a_folder_are_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    written(tmp_path, hits=hits(), truth=truth(), particles="particle_id,vx,vy,vz,px,py,pz,q\n")
    (tmp_path / "event1-CKFtracks.csv").write_text("track_id,particleId,nStates\n1,2,3\n")
    (tmp_path / "detectors.csv").write_text("volume_id,layer_id,module_id,cx,cy,cz\n7,2,1,-65.7,-5.2,-1502\n")
    assert [event.event_id for event in read_events(tmp_path)] == [1]
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}: passed over 2 files without spacepoints: detectors.csv, event1-CKFtracks.csv"
    ]
    with pytest.raises(EventFormatError, match=r"detectors\.csv: column 'x', 'y', 'z' is missing; found 'volume_id'"):
        list(read_events(tmp_path / "detectors.csv"))  # named, it is an error


def test_a_folder_of_foreign_files(tmp_path: Path) -> None:
    (tmp_path / "detectors.csv").write_text("volume_id,layer_id\n7,2\n")
    with pytest.raises(EventFormatError, match=r"a folder without any file of spacepoints, found detectors\.csv$"):
        event_files(tmp_path)


@pytest.mark.parametrize(
    ("parts", "missing"),
    [
        (
            {"hits": hits(), "truth": truth()},
            ["event1-particles.csv: no such file: particles are known by their hits alone"],
        ),
        ({"hits": hits()}, []),
        ({"spacepoint": "x,y,z\n1,2,3\n"}, []),
        (
            {"spacepoint": "measurement_id_1,x,y,z\n0,30,2,3\n", "hits": "index,particle_id\n0,5\n"},
            [
                "event1-measurement-simhit-map.csv: no such file: the truth is left out",
                "event1-particles_simulated.csv: no such file: the truth is left out",
            ],
        ),
    ],
)
def test_a_missing_file_is_named(
    tmp_path: Path, parts: dict[str, str], missing: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    written(tmp_path, **parts)
    assert len([*read_events(tmp_path)]) == 1
    assert [record.message for record in caplog.records] == [f"{tmp_path}/{line}" for line in missing]


CONTENTS: Final[dict[str, bytes]] = {
    "JSON": b' {"x": [1, 2]}',
    "an array of NumPy": b"\x93NUMPY\x01\x00",
    "a pickle of Python": pickle.dumps({"x": 1}),
    "a PNG picture": b"\x89PNG\r\n\x1a\n",
    "a zip archive of 2 files": b"",
    "binary, of a format that is not known": bytes(range(256)) * 40,
    "UTF-16": "x,y,z\n1,2,3\n".encode("utf-16"),
    "Zstandard": pa.compress(b"x,y,z\n1,2,3\n", "zstd", asbytes=True),
    "Parquet compressed with gzip: decompress it": gzip.compress(b"PAR1 and so on PAR1"),
}


@pytest.mark.parametrize("what", CONTENTS)
def test_a_file_is_named_for_what_it_is(tmp_path: Path, what: str) -> None:
    file = tmp_path / "event1-hits.csv"
    file.write_bytes(CONTENTS[what])
    if "zip archive" in what:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("a.csv", hits())
            archive.writestr("b.csv", hits())
    with pytest.raises(EventFormatError, match=rf"^{file}: .*{what}") as refused:
        list(read_events(file))
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < len(str(file)) + 120


def test_a_header_of_many_columns_is_not_told_whole(tmp_path: Path) -> None:
    (tmp_path / "wide.csv").write_text(",".join(f"column{number}" for number in range(5000)) + "\n")
    with pytest.raises(EventFormatError, match=r"'column19' and 4980 more$"):
        list(read_events(tmp_path / "wide.csv"))


def test_ten_thousand_small_files(tmp_path: Path) -> None:
    for number in range(10_000):
        (tmp_path / f"event{number}-hits.csv").write_text("hit_id,x,y,z\n1,30,40,5\n")
    assert count_events(tmp_path) == 10_000
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); from exatrkx.events.readers \
import read_events; print(sum(event.event_id for event in read_events({str(tmp_path)!r})))"
    done = subprocess.run([sys.executable, "-c", limited], check=True, capture_output=True, text=True)
    assert int(done.stdout) == sum(range(10_000))


def test_three_hundred_and_fifty_thousand_spacepoints(tmp_path: Path) -> None:
    size, random = 350_000, np.random.default_rng(3)
    places = {name: random.uniform(30, 900, size).astype(np.float32) for name in ("x", "y", "z")}
    names = random.integers(0, 2**63, size, dtype=np.uint64) * np.uint64(2)
    number = np.arange(size)
    pa_csv.write_csv(pa.table({"hit_id": number, **places}), tmp_path / "event1-hits.csv")
    pa_csv.write_csv(pa.table({"hit_id": number, "particle_id": names}), tmp_path / "event1-truth.csv")
    (event,) = read_events(tmp_path / "event1-hits.csv")
    np.testing.assert_array_equal(event.z, places["z"])
    assert event.truth is not None
    found = event.truth.particles.particle_id[event.truth.particle]
    np.testing.assert_array_equal(found, names[event.truth.spacepoint])


def wider(kind: pa.DataType, offsets: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """A type as another program might have chosen it."""
    if pa.types.is_list(kind):
        return offsets(wider(kind.value_type, offsets))
    if pa.types.is_floating(kind):
        return pa.float64()
    return pa.int64() if pa.types.is_integer(kind) and not pa.types.is_unsigned_integer(kind) else kind


@pytest.mark.parametrize("offsets", [pa.list_, pa.large_list])
@pytest.mark.parametrize("group", [1, 3, 100])
def test_parquet_lists_of_any_width(tmp_path: Path, offsets: Callable[[pa.DataType], pa.DataType], group: int) -> None:
    table = pq.read_table(project_files().events / "ttbar_mu0.parquet").slice(0, 7)
    expected = [*read_events(project_files().events / "ttbar_mu0.parquet")][:7]
    schema = pa.schema([field.with_type(wider(field.type, offsets)) for field in table.schema])
    pq.write_table(table.cast(schema), tmp_path / "e.parquet", row_group_size=group)
    for found, event in zip(read_events(tmp_path / "e.parquet"), expected, strict=True):
        assert found.x.dtype == np.float32
        np.testing.assert_array_equal(found.x, event.x)
        assert found.truth is not None
        assert event.truth is not None
        np.testing.assert_array_equal(found.truth.particle, event.truth.particle)
        for field in fields(event.truth.particles):
            one, other = (getattr(truth.particles, field.name) for truth in (found.truth, event.truth))
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


def test_a_number_that_does_not_fit_is_named(tmp_path: Path) -> None:
    place = np.array([30, 40], dtype=np.float32)
    write_events(tmp_path / "e.parquet", [Event(event_id=3, x=place, y=place, z=place)])
    table = pq.read_table(tmp_path / "e.parquet")
    bad = pa.array([[2**40, 1]], pa.list_(pa.int64()))
    pq.write_table(table.set_column(4, "hit_spacepoint", bad), tmp_path / "e.parquet")
    with pytest.raises(EventFormatError, match=r"e\.parquet: event 3: column 'hit_spacepoint': .*1099511627776"):
        list(read_events(tmp_path / "e.parquet"))
