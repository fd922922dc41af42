"""Units: events in cm, m or µm, and features that are lengths in mm, are refused; every real detector's are taken."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest

from exatrkx.errors import ContractError, EventFormatError, ExitCode, UnitsError
from exatrkx.events.event import Event, features
from exatrkx.events.parquet import write_events
from exatrkx.events.readers import read_events
from exatrkx.project_files import project_files
from exatrkx_client import TrackingClient, find_tracks

EVENT: Final = next(read_events(project_files().events))
UNITS: Final = {"cm": 0.1, "m": 0.001, "µm": 1000.0, "tenths of a mm": 10.0}
"""What a length of 1 mm is in the wrong unit."""


def in_unit(event: Event, one_mm: float) -> Event:
    return replace(event, x=event.x * one_mm, y=event.y * one_mm, z=event.z * one_mm, truth=None)


def write(folder: Path, event: Event, form: str) -> Path:
    """The event's positions, as numbers, in a file of this form."""
    file = folder / f"event000000003-{'hits' if form == 'TrackML' else 'spacepoint'}.csv"
    if form == "Parquet":
        write_events(folder / "events.parquet", [event])
        return folder / "events.parquet"
    lines = [f"{x:.9g},{y:.9g},{z:.9g}" for x, y, z in zip(event.x, event.y, event.z, strict=True)]
    header = "x,y,z"
    if form == "TrackML":
        lines, header = [f"{number},{line}" for number, line in enumerate(lines, 1)], "hit_id,x,y,z"
    file.write_text("\n".join([header, *lines]))
    return file


@pytest.mark.parametrize("form", ["Parquet", "TrackML", "ACTS"])
@pytest.mark.parametrize("unit", UNITS)
def test_an_event_in_other_units_is_refused_whatever_its_file(tmp_path: Path, unit: str, form: str) -> None:
    file = write(tmp_path, in_unit(EVENT, UNITS[unit]), form)
    with pytest.raises(UnitsError, match=rf"^{file}: event \d+: .* fit no detector; .* mm; in {unit} they would$"):
        next(read_events(file))
    with pytest.raises(UnitsError, match=rf"^event {EVENT.event_id}: .*; in {unit} they would$"):
        features(in_unit(EVENT, UNITS[unit]))
    (right,) = read_events(write(tmp_path, in_unit(EVENT, 1.0), form))
    np.testing.assert_allclose(features(right), features(EVENT), rtol=1e-5, atol=1e-7)


def test_the_client_sends_neither() -> None:
    in_mm = np.stack([EVENT.x, EVENT.y, EVENT.z], axis=1)
    with TrackingClient("127.0.0.1:9") as client:
        for source in (in_unit(EVENT, 0.1), in_mm):
            with pytest.raises(UnitsError) as refused:
                client.find_tracks(source)  # port 9 answers nobody: it would be another error
            assert isinstance(refused.value, ContractError | EventFormatError)
            assert refused.value.exit_code == ExitCode.USAGE


def test_the_command_tells_before_it_looks_for_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, in_unit(EVENT, 0.1), "ACTS")
    assert find_tracks.main([str(file), "--url", "127.0.0.1:9", "--output", str(tmp_path / "tracks.csv")]) == 2
    assert re.fullmatch(rf"find_tracks.py: {file}: event 3: .* in cm they would\n", capsys.readouterr().err)
    assert not (tmp_path / "tracks.csv").exists()


def ring(nearest: float, outermost: float, length: float, size: int = 12) -> Event:
    """Spacepoints from the innermost to the outermost radius and along the whole length, in mm."""
    r, phi, z = np.linspace(nearest, outermost, size), np.linspace(-3, 3, size), np.linspace(-length, length, size)
    x, y, z = (column.astype(np.float32) for column in (r * np.cos(phi), r * np.sin(phi), z))
    return Event(event_id=5, x=x, y=y, z=z)


@pytest.mark.parametrize(
    ("detector", "nearest", "outermost", "length"),
    [
        ("TrackML", 32, 1020, 2960),
        ("ATLAS ITk", 33, 1000, 3000),
        ("CMS tracker", 29, 1160, 2800),
        ("ALICE with its TPC", 22, 2500, 2500),
        ("LHCb VELO", 5.1, 50, 750),
        ("Belle II", 14, 1130, 1500),
        ("ATLAS with its muons", 33, 12000, 22500),
    ],
)
def test_detectors_that_there_are(detector: str, nearest: float, outermost: float, length: float) -> None:
    assert features(ring(nearest, outermost, length)).shape == (12, 3), detector


@pytest.mark.parametrize(("nearest", "outermost", "length"), [(3, 30, 3), (0.3, 3, 3), (50, 10_000, 30_000)])
def test_detectors_that_there_are_not(nearest: float, outermost: float, length: float) -> None:
    with pytest.raises(UnitsError, match=r"event 5: .* lengths are mm"):
        features(ring(nearest, outermost, length))


def test_few_spacepoints_and_one_at_the_centre_are_ordinary() -> None:
    none = np.zeros(0, dtype=np.float32)
    assert features(Event(event_id=0, x=none, y=none, z=none)).shape == (0, 3)
    assert features(ring(32, 32, 0, size=1)).shape == (1, 3)
    assert features(ring(1, 3, 3, size=9)).shape == (9, 3)
    event = in_unit(EVENT, 1.0)
    event.x[7] = event.y[7] = event.z[7] = 0.0
    assert features(event)[7].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((812.0, 0.5, 0.1), "'r / 1000 mm' must be at most 12.5, found 812 in row 1; positions in mm"),
        ((-0.1, 0.5, 0.1), "'r / 1000 mm' must be ≥ 0, found -0.1 in row 1; positions in mm"),
        ((0.1, 3.14, 0.1), "'φ / π' must be within [-1, 1], found 3.14 in row 1; is it in radians?"),
        ((0.1, -180.0, 0.1), "'φ / π' must be within [-1, 1], found -180 in row 1; positions in mm"),
        ((0.1, 0.5, -2960.0), "'z / 1000 mm' must be within [-23, 23], found -2960 in row 1; positions in mm"),
    ],
)
def test_features_that_cannot_be(row: tuple[float, float, float], reason: str) -> None:
    array: npt.NDArray[np.float32] = np.array([[0.1, 1.0, -2.9], row], dtype=np.float32)
    with TrackingClient("127.0.0.1:9") as client, pytest.raises(UnitsError) as refused:
        client.find_tracks(array)
    assert str(refused.value).startswith(f"FEATURES: column {reason}")
