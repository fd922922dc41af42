"""Files whose hits belong to several particles, to none or to unlisted ones, against counting their rows."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
import pytest

from exatrkx.errors import EventFormatError
from exatrkx.events.event import Event, Truth
from exatrkx.events.readers import input_files, read_events
from exatrkx.performance.metrics import track_metrics
from exatrkx.performance.selection import ParticleSelection

ANYONE = ParticleSelection(min_pt=0.0, max_abs_eta=99.0, min_spacepoints=1)
LAYERS = 6


class Case(NamedTuple):
    """An event in dictionaries: the hits that each particle made, and the label of each hit."""

    made: dict[int, set[int]]
    listed: set[int]
    labels: list[int]

    @property
    def hits(self) -> int:
        return len(self.labels)


def case(seed: int) -> Case:
    """Up to eight particles, some of them unlisted, merged hits, noise, and labels that are partly wrong."""
    random = Random(seed)
    count = random.randrange(1, 9)
    hits = random.randrange(4, 30)
    made = {p: set(random.sample(range(hits), random.randrange(1, min(hits, LAYERS) + 1))) for p in range(1, count + 1)}
    listed = {p for p in made if random.random() < 0.7}
    labels = [-1] * hits
    for p in sorted(made):
        for hit in made[p]:
            if random.random() < 0.9:
                labels[hit] = random.choice((p, p, p, p, 1))
    return Case(made, listed, labels)


def write_trackml(folder: Path, event: Case) -> None:
    random = Random(7)
    hits = "".join(f"{h + 100},{30 + h},{h},1\n" for h in range(event.hits))
    rows = [f"{h + 100},{p},{30 + h},{h},1,{p},0,0.5\n" for p, made in event.made.items() for h in made]
    rows += [f"{h + 100},0,0,0,0,0,0,0\n" for h in set(range(event.hits)) - set().union(*event.made.values())]
    random.shuffle(rows)
    particles = "".join(f"{p},0,0,0,{p},0,0.5,1\n" for p in sorted(event.listed))
    (folder / "event7-hits.csv").write_text("hit_id,x,y,z\n" + hits)
    (folder / "event7-truth.csv").write_text("hit_id,particle_id,tx,ty,tz,tpx,tpy,tpz\n" + "".join(rows))
    (folder / "event7-particles.csv").write_text("particle_id,vx,vy,vz,px,py,pz,q\n" + particles)


def write_acts(folder: Path, event: Case) -> None:
    """Each particle's hits by themselves, several of one measurement where they merged, and noise hits."""
    made_by = [(p, h) for p, made in event.made.items() for h in sorted(made)]
    made_by += [(0, h) for h in set(range(event.hits)) - set().union(*event.made.values())]
    Random(7).shuffle(made_by)
    barcode = "particle_id_pv,particle_id_sv,particle_id_part,particle_id_gen,particle_id_subpart"
    spacepoints = "".join(f"{h},{2**64 - 1},{30 + h},{h},1\n" for h in range(event.hits))
    links = "".join(f"{h},{row}\n" for row, (_, h) in enumerate(made_by))
    hits = "".join(f"{int(p > 0)},0,{p},0,0,{p},0,0.5,{h}\n" for p, h in made_by)
    particles = "".join(f"1,0,{p},0,0,211,0,0,0,{p},0,0.5,1\n" for p in sorted(event.listed))
    (folder / "event7-spacepoint.csv").write_text("measurement_id_1,measurement_id_2,x,y,z\n" + spacepoints)
    (folder / "event7-measurement-simhit-map.csv").write_text("measurement_id,hit_id\n" + links)
    (folder / "event7-hits.csv").write_text(f"{barcode},tpx,tpy,tpz,index\n" + hits)
    (folder / "event7-particles_simulated.csv").write_text(f"{barcode},particle_type,vx,vy,vz,px,py,pz,q\n" + particles)


def read(folder: Path) -> tuple[Event, Truth]:
    (event,) = read_events(folder)
    assert event.truth is not None
    return event, event.truth


def expected_rates(event: Case) -> tuple[int, int, int, int]:
    """Listed particles with a double majority, fakes, candidates, perfect ones: by counting."""
    found, perfect, fakes = set(), set(), 0
    candidates = sorted({label for label in event.labels if label >= 0})
    for label in candidates:
        members = {h for h, other in enumerate(event.labels) if other == label}
        # Listed ones come first in the table, and of equals the first has the candidate.
        order = sorted(event.made, key=lambda p: (p not in event.listed, p))
        best = max(order, key=lambda p: (len(members & event.made[p]), -order.index(p)))
        shared = len(members & event.made[best])
        fakes += 2 * shared <= len(members)
        if best in event.listed and 2 * shared > len(members) and 2 * shared > len(event.made[best]):
            found.add(best)
        if best in event.listed and members == event.made[best]:
            perfect.add(best)
    return len(found), fakes, len(candidates), len(perfect)


@pytest.mark.parametrize("writer", [write_trackml, write_acts])
@pytest.mark.parametrize("seed", range(40))
def test_merged_noise_and_unlisted_hits_are_judged_as_counted(tmp_path: Path, seed: int, writer: object) -> None:
    expected = case(seed)
    assert callable(writer)
    writer(tmp_path, expected)
    event, truth = read(tmp_path)
    of_file = truth.particles.particle_id >> np.uint64(24) if writer is write_acts else truth.particles.particle_id
    names = (of_file & np.uint64(0xFFFF)).tolist()
    pairs = {(names[p], h) for p, h in zip(truth.particle.tolist(), truth.spacepoint.tolist(), strict=True)}
    assert pairs == {(p, h) for p, made in expected.made.items() for h in made}
    assert len(truth) == len(pairs)
    assert names == sorted(expected.listed) + sorted(set(expected.made) - expected.listed)
    np.testing.assert_allclose(truth.particles.px, names)  # of the list, or of the first hit
    metrics = track_metrics(np.asarray(expected.labels), event, ANYONE)
    found, fakes, candidates, perfect = expected_rates(expected)
    assert (metrics.efficiency_double_majority.numerator, metrics.fake_rate.numerator) == (found, fakes)
    assert (metrics.fake_rate.denominator, metrics.efficiency_perfect.numerator) == (candidates, perfect)
    assert metrics.efficiency_perfect.denominator == len(expected.listed)


def test_order_is_the_place_along_the_particle(tmp_path: Path) -> None:
    write_acts(tmp_path, Case({1: {0, 1, 2, 3}}, {1}, [0, 0, 0, 0]))
    _, truth = read(tmp_path)
    assert truth.spacepoint[np.argsort(truth.order)].tolist() == [0, 1, 2, 3]
    assert sorted(file.name.partition("-")[2] for file in input_files(tmp_path)) == [
        "hits.csv",
        "measurement-simhit-map.csv",
        "particles_simulated.csv",
        "spacepoint.csv",
    ]


def test_a_spacepoint_of_two_measurements_belongs_to_who_hit_both(tmp_path: Path) -> None:
    write_acts(tmp_path, Case({1: {0, 1}, 2: {1, 2}}, {1, 2}, [0, 0, 0]))
    text = "measurement_id_1,measurement_id_2,x,y,z\n0,1,30,0,0\n1,2,40,0,0\n0,2,50,0,0\n"
    (tmp_path / "event7-spacepoint.csv").write_text(text)
    _, truth = read(tmp_path)
    assert sorted(zip(truth.spacepoint.tolist(), truth.particle.tolist(), strict=True)) == [(0, 0), (1, 1)]


def test_barcodes_in_one_column_are_those_in_five(tmp_path: Path) -> None:
    write_acts(tmp_path, Case({1: {0, 1}, 2: {1, 2}}, {1, 2}, [0, 0, 0]))
    _, truth = read(tmp_path)
    for file in (tmp_path / "event7-hits.csv", tmp_path / "event7-particles_simulated.csv"):
        _, *rows = file.read_text().splitlines()
        rest = file.read_text().splitlines()[0].split(",", 5)[5]
        packed = [(int(row.split(",")[0]) << 52 | int(row.split(",")[2]) << 24, row.split(",", 5)[5]) for row in rows]
        file.write_text(f"particle_id,{rest}\n" + "".join(f"{number},{values}\n" for number, values in packed))
    _, again = read(tmp_path)
    assert again.particles.particle_id.tolist() == truth.particles.particle_id.tolist()
    assert again.particle.tolist() == truth.particle.tolist()
    assert again.particles.primary.all()


@pytest.mark.parametrize(
    ("part", "old", "new", "reason"),
    [
        ("measurement-simhit-map", "0,", "0,9", r"simhit-map\.csv: hit_id must be a row of the 2 of the hits"),
        ("hits", "index", "place", r"hits\.csv: column 'index' is missing"),
        ("hits", "particle_id_gen", "gen", r"hits\.csv: column 'particle_id_gen' is missing"),
        ("hits", "1,0,1,", "1,4096,1,", r"hits\.csv: particle_id_sv must be below 4096, found 4096"),
        (
            "particles_simulated",
            "1,0,1,0,0,211",
            "1,0,2,0,0,211",
            r"simulated\.csv: particle .* is there more than once",
        ),
        ("particles_simulated", "211,0,", "211,nan,", r"simulated\.csv: column 'vx' must be finite"),
    ],
)
def test_acts_files_that_do_not_fit(tmp_path: Path, part: str, old: str, new: str, reason: str) -> None:
    write_acts(tmp_path, Case({1: {0}, 2: {1}}, {1, 2}, [0, 0]))
    file = tmp_path / f"event7-{part}.csv"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(EventFormatError, match=reason):
        read(tmp_path)


def test_acts_spacepoints_with_a_part_of_their_truth_have_none(tmp_path: Path) -> None:
    write_acts(tmp_path, case(1))
    (tmp_path / "event7-hits.csv").unlink()
    (event,) = read_events(tmp_path)
    assert event.truth is None
