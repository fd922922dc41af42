"""Events from every format, and what is said about files that do not keep theirs."""

from __future__ import annotations

import gzip
from pathlib import Path

import handmade
import numpy as np
import pytest

from exatrkx.errors import EventFormatError
from exatrkx.events.event import Event, features
from exatrkx.events.parquet_writer import write_events
from exatrkx.events.readers import count_events, event_files, read_events

HITS = """hit_id,x,y,z,volume_id,layer_id,module_id
11,30.0,40.0,-5.5,7,2,1
12,60.0,80.0,-11.0,7,4,1
13,-1.0,2.0,3.0,8,2,1
14,90.0,120.0,-16.5,8,4,1
"""
TRUTH = """hit_id,particle_id,tx,ty,tz,tpx,tpy,tpz,weight
14,4503668346847232,90,120,-16.5,0.55,0.75,-0.1,1e-5
11,4503668346847232,30,40,-5.5,0.6,0.8,-0.11,1e-5
13,0,-1,2,3,0,0,0,0
12,4503668346847232,60,80,-11,0.58,0.78,-0.1,1e-5
"""
PARTICLES = """particle_id,vx,vy,vz,px,py,pz,q,nhits
99,0,0,1,0.1,0.2,0.3,-1,0
4503668346847232,0.01,0.02,0.5,0.6,0.8,-0.11,1,3
"""
SPACEPOINTS = """measurement_id_1,measurement_id_2,geo_id_1,x,y,z,t,var_r,var_z
1,0,72057731476881408,1.5,-2.5,3.5,0,0.01,0.02
2,3,72057731476881664,4,5,6,0,0.01,0.02
"""


def one(path: Path) -> Event:
    (event,) = read_events(path)
    return event


def write(folder: Path, **texts: str) -> Path:
    """Write `event000001000-NAME.csv` for each NAME, and give the folder."""
    for part, text in texts.items():
        (folder / f"event000001000-{part}.csv").write_text(text)
    return folder


def test_trackml_hits_truth_and_particles(tmp_path: Path) -> None:
    event = one(write(tmp_path, hits=HITS, truth=TRUTH, particles=PARTICLES))
    assert event.event_id == 1000
    np.testing.assert_array_equal(event.x, [30, 60, -1, 90])
    np.testing.assert_array_equal(event.z, [-5.5, -11, 3, -16.5])
    truth = event.truth
    assert truth is not None
    assert sorted(zip(truth.order.tolist(), truth.spacepoint.tolist(), truth.particle.tolist(), strict=True)) == [
        (0, 0, 1),
        (1, 1, 1),
        (2, 3, 1),
    ]
    assert truth.particles.particle_id.tolist() == [99, 4503668346847232]
    assert truth.particles.charge.tolist() == [-1, 1]
    assert truth.particles.pt[1] == pytest.approx(1.0)
    assert truth.particles.primary.all()


def test_trackml_without_truth_has_none_even_with_particles(tmp_path: Path) -> None:
    assert one(write(tmp_path, hits=HITS, particles=PARTICLES)).truth is None


def test_trackml_without_particles_takes_them_from_the_truth(tmp_path: Path) -> None:
    truth = one(write(tmp_path, hits=HITS, truth=TRUTH)).truth
    assert truth is not None
    assert truth.particles.particle_id.tolist() == [4503668346847232]
    assert (truth.particles.px[0], truth.particles.py[0]) == (np.float32(0.6), np.float32(0.8))
    assert np.isnan(truth.particles.vx).all()
    assert (truth.particles.charge != 0).all()


def test_trackml_order_is_from_the_vertex_and_not_from_the_origin(tmp_path: Path) -> None:
    particles = "particle_id,vx,vy,vz,px,py,pz,q\n4503668346847232,90,120,-16.5,-0.6,-0.8,0,1\n"
    truth = one(write(tmp_path, hits=HITS, truth=TRUTH, particles=particles)).truth
    assert truth is not None
    assert truth.spacepoint[np.argsort(truth.order)].tolist() == [3, 1, 0]


def test_trackml_truth_without_true_positions_orders_by_the_hits(tmp_path: Path) -> None:
    bare = "\n".join(",".join(line.split(",")[:2]) for line in TRUTH.splitlines())
    truth = one(write(tmp_path, hits=HITS, truth=bare)).truth
    assert truth is not None
    assert truth.spacepoint[np.argsort(truth.order)].tolist() == [0, 1, 3]
    assert np.isnan(truth.particles.pt).all()


def test_trackml_pdg_and_primary_where_the_file_has_them(tmp_path: Path) -> None:
    more = "particle_id,vx,vy,vz,px,py,pz,q,particle_type,primary\n4503668346847232,0,0,0,1,0,0,-1,11,0\n"
    truth = one(write(tmp_path, hits=HITS, truth=TRUTH, particles=more)).truth
    assert truth is not None
    assert (truth.particles.pdg.tolist(), truth.particles.primary.tolist()) == ([11], [False])


def test_an_event_of_noise_only(tmp_path: Path) -> None:
    truth = one(write(tmp_path, hits=HITS, truth="hit_id,particle_id\n11,0\n", particles=PARTICLES)).truth
    assert truth is not None
    assert len(truth) == 0


def test_a_header_alone_is_an_event_of_no_spacepoints(tmp_path: Path) -> None:
    empty = {"hits": HITS, "truth": TRUTH, "particles": PARTICLES}
    event = one(write(tmp_path, **{part: text.splitlines()[0] + "\n" for part, text in empty.items()}))
    assert len(event) == 0
    assert event.truth is not None
    assert len(event.truth) == len(event.truth.particles) == 0


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ({"hits": "hit_id,x,y\n1,2,3\n"}, r"hits\.csv: column 'z' is missing; found 'hit_id', 'x', 'y'"),
        ({"hits": HITS.replace("30.0", "thirty")}, r"hits\.csv: column 'x': Row #2: .*'thirty'"),
        ({"hits": HITS.replace("30.0", "nan")}, r"hits\.csv: column 'x' must be finite, found nan in row 2"),
        ({"hits": HITS.replace("120.0", "inf")}, r"hits\.csv: column 'y' must be finite, found inf in row 5"),
        ({"hits": HITS.replace("30.0", "")}, r"hits\.csv: column 'x': Row #2: .*''"),
        ({"hits": HITS.replace("30.0,", "")}, r"hits\.csv: .*Expected 7 columns, got 6"),
        ({"hits": HITS.replace("volume_id", "x")}, r"hits\.csv: column 'x' is there more than once"),
        ({"hits": HITS.replace("12,", "11,"), "truth": TRUTH}, r"hits\.csv: hit_id 11 is there more than once"),
        ({"hits": HITS, "truth": TRUTH.replace("12,45", "77,45")}, r"truth\.csv: hit_id 77 is not in .*hits\.csv"),
        (
            {"hits": HITS, "truth": TRUTH, "particles": PARTICLES.replace("99,0,0", "4503668346847232,0,0")},
            r"particles\.csv: particle_id 4503668346847232 is there more than once",
        ),
        ({"hits": HITS, "truth": TRUTH.replace("particle_id", "pid")}, r"truth\.csv: column 'particle_id' is missing"),
        ({"hits": HITS, "truth": TRUTH, "particles": "particle_id,q\n1,1\n"}, r"column 'vx', .*, 'pz' is missing"),
        ({"hits": HITS, "truth": TRUTH.replace("13,0", "13,-3")}, r"column 'particle_id': Row #4: .*'-3'"),
        ({"truth": TRUTH}, r"truth\.csv: holds no spacepoints; name the event000001000-hits\.csv"),
    ],
)
def test_trackml_files_that_do_not_keep_the_format(tmp_path: Path, texts: dict[str, str], reason: str) -> None:
    with pytest.raises(EventFormatError, match=reason):
        list(read_events(write(tmp_path, **texts)))


def test_acts_spacepoints_by_column_name(tmp_path: Path) -> None:
    event = one(write(tmp_path, spacepoint=SPACEPOINTS))
    assert (event.event_id, event.truth) == (1000, None)
    np.testing.assert_array_equal(np.stack([event.x, event.y, event.z]), [[1.5, 4], [-2.5, 5], [3.5, 6]])


def test_acts_spacepoints_are_preferred_to_simulated_hits(tmp_path: Path) -> None:
    write(tmp_path, hits="particle_id,geometry_id,tx,ty,tz\n1,2,3,4,5\n", spacepoint=SPACEPOINTS, measurements="a\n1\n")
    assert len(one(tmp_path)) == 2


def test_a_header_without_positions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("r,phi,z\n1,2,3\n")
    with pytest.raises(EventFormatError, match=r"e\.csv: column 'x', 'y' is missing; found 'r', 'phi', 'z'"):
        one(tmp_path / "e.csv")


def test_features_come_back_as_they_were(tmp_path: Path) -> None:
    values = np.array([[0.032, -1.0, -0.5], [1.0, 0.25, 2.9], [0.1, 0.999999, 0.0]], dtype=np.float32)
    np.savetxt(tmp_path / "in_e1042.csv", values, delimiter=", ", fmt="%.9g")
    event = one(tmp_path / "in_e1042.csv")
    assert event.event_id == 1042
    again = features(event)
    again[0, 1] = -abs(again[0, 1])  # φ = π and φ = −π are one direction
    np.testing.assert_allclose(again, values, rtol=3e-7, atol=3e-7)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1,2\n", "must be 3 columns .* found 2"),
        ("0.1,0.2,0.3,0.4\n", "must be 3 columns .* found 4"),
        ("0.1,0.2,0.3\n0.1,0.2\n", "Expected 3 columns, got 2"),
        ("0.1,0.2,0.3\n0.1,x,0.3\n", "column 'φ / π': Row #2: .*'x'"),
        ("0.1,nan,0.3\n", "column 'φ / π' must be finite, found nan in row 1"),
        (
            "0.1,0.2,0.3\n32.1,-71.4,300.5\n",
            r"column 'φ / π' must be within \[-1, 1\], found -71.4 in row 2; positions",
        ),
        ("-32.1,0.4,300.5\n", "column 'r / 1000 mm' must be ≥ 0, found -32.1 in row 1; positions"),
        ("", "no header and no rows"),
        ("\n\n", "no header and no rows"),
    ],
)
def test_features_that_are_none(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "e.csv").write_text(text)
    with pytest.raises(EventFormatError, match=rf"e\.csv: .*{reason}"):
        one(tmp_path / "e.csv")


def test_compressed_files_read_as_the_others(tmp_path: Path) -> None:
    for part, text in (("hits", HITS), ("truth", TRUTH), ("particles", PARTICLES)):
        with gzip.open(tmp_path / f"event000001000-{part}.csv.gz", "wt") as stream:
            stream.write(text)
    event = one(tmp_path / "event000001000-hits.csv.gz")
    assert len(event) == 4
    assert event.truth is not None
    assert len(event.truth) == 3


@pytest.mark.parametrize("content", [b"no gzip at all", gzip.compress(HITS.encode(), mtime=0)[:40], b""])
def test_a_broken_compressed_file_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "event1-hits.csv.gz").write_bytes(content)
    with pytest.raises(EventFormatError, match=r"event1-hits\.csv\.gz: "):
        one(tmp_path)


def test_spaces_quotes_windows_line_ends_and_byte_order_marks(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_bytes('\ufeff"x", y ,z\r\n1, 2 ,3\r\n\r\n4,5,6\r\n'.encode())
    event = one(tmp_path / "e.csv")
    np.testing.assert_array_equal(np.stack([event.x, event.y, event.z]), [[1, 4], [2, 5], [3, 6]])


def test_folders_patterns_and_lists_give_each_event_once_and_in_order(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        (tmp_path / f"event{number}-hits.csv").write_text(HITS)
        (tmp_path / f"event{number}-truth.csv").write_text(TRUTH)
    (tmp_path / "notes.txt").write_text("not an event")
    in_order = [1, 2, 10]
    assert [event.event_id for event in read_events(tmp_path)] == in_order
    assert [event.event_id for event in read_events(str(tmp_path / "event*.csv"))] == in_order
    assert [event.event_id for event in read_events([tmp_path / "event10-hits.csv", tmp_path])] == [10, 1, 2]
    assert count_events(tmp_path) == 3


def test_patterns_relative_to_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, hits=HITS)
    monkeypatch.chdir(tmp_path)
    assert event_files("*-hits.csv") == [Path("event000001000-hits.csv")]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("absent.csv", "no such file or folder"), ("*.nothing", "no file fits"), (".", "a folder without any .parquet")],
)
def test_paths_that_lead_nowhere(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(EventFormatError, match=reason):
        event_files(tmp_path / name)


def test_files_are_read_only_when_their_event_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path, hits=HITS)
    (tmp_path / "event000001001-hits.csv").write_text("hit_id\n1\n")
    events = read_events(tmp_path)
    assert next(events).event_id == 1000
    with pytest.raises(EventFormatError, match="event000001001"):
        next(events)


def test_parquet_is_known_by_its_content(tmp_path: Path) -> None:
    written = [one(write(tmp_path, hits=HITS, truth=TRUTH, particles=PARTICLES)), handmade.event(3, [[0, 1]])]
    write_events(tmp_path / "named.otherwise", written)
    read = list(read_events(tmp_path / "named.otherwise"))
    assert [event.event_id for event in read] == [1000, 7]
    for event, expected in zip(read, written, strict=True):
        np.testing.assert_array_equal(event.x, expected.x)
        assert event.truth is not None
        assert expected.truth is not None
        np.testing.assert_array_equal(event.truth.order, expected.truth.order)
    assert count_events(tmp_path / "named.otherwise") == 2
    assert count_events([tmp_path / "named.otherwise", tmp_path]) == 3


def test_parquet_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(EventFormatError, match=r"broken\.parquet"):
        list(read_events(tmp_path))
    with pytest.raises(EventFormatError, match=r"broken\.parquet"):
        count_events(tmp_path)


def test_a_header_of_control_characters_does_not_steer_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "broken.csv"
    file.write_text("x,\x1b[31mred\n1,2\n")
    with pytest.raises(EventFormatError, match=r"'\\x1b\[31mred'") as refused:
        list(read_events(file))
    assert str(refused.value).isprintable()
