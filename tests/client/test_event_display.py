"""The event display: what is drawn, where, and how the command ends."""

from __future__ import annotations

import base64
import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Final

import handmade
import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from exatrkx.events.event import Event, positions
from exatrkx.events.parquet_writer import write_events
from exatrkx.events.tracks import TracksWriter
from exatrkx_client import TrackingClient, event_display, event_figure
from exatrkx_client.event_scene import colours

if TYPE_CHECKING:
    from exatrkx_server import TritonServer

SCRIPT: Final = Path(__file__).resolve().parents[2] / "client" / "event_display.py"
PNG: Final = b"\x89PNG"


def spiral(size: int = 60) -> Event:
    turn = np.linspace(0, 3, size, dtype=np.float32)
    bare = replace(handmade.event(size, []), truth=None)
    return replace(bare, x=30 + 900 * np.cos(turn) * turn, y=900 * np.sin(turn) * turn, z=1000 * turn - 1500)


def labels_of(size: int, tracks: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Every third spacepoint on no track, the others on one of `tracks` in turn."""
    number = np.arange(size)
    return np.where(number % 3 == 0, -1, number % max(tracks, 1)) if tracks else np.full(size, -1)


def test_every_spacepoint_and_every_track_is_drawn_in_both_panels() -> None:
    event, labels = spiral(), labels_of(60, 4)
    figure = event_figure.draw(event, labels)
    across, along = figure.axes
    assert (across.get_xlabel(), across.get_ylabel()) == ("x [mm]", "y [mm]")
    assert (along.get_xlabel(), along.get_ylabel()) == ("z [mm]", "r [mm]")
    assert across.get_aspect() == 1.0
    assert across.get_title(loc="left") == "Event 7: 4 track candidates with 40 of 60 spacepoints"
    for axes, x, y in ((across, event.x, event.y), (along, event.z, event.r)):
        noise, points = (c for c in axes.collections if isinstance(c, PathCollection))
        (lines,) = (c for c in axes.collections if isinstance(c, LineCollection))
        expected = np.stack([x, y], axis=1)
        np.testing.assert_array_equal(noise.get_offsets(), expected[labels < 0])
        np.testing.assert_array_equal(np.unique(points.get_offsets(), axis=0), np.unique(expected[labels >= 0], axis=0))
        assert [len(segment) for segment in lines.get_segments()] == [10] * 4


def test_any_negative_label_is_of_no_track() -> None:
    labels = labels_of(60, 4)
    labels[labels < 0] = np.arange(-20, 0)
    across, _ = event_figure.draw(spiral(), labels).axes
    assert across.get_title(loc="left") == "Event 7: 4 track candidates with 40 of 60 spacepoints"
    noise, _ = (c for c in across.collections if isinstance(c, PathCollection))
    assert len(np.asarray(noise.get_offsets())) == 20


def test_lines_go_outwards() -> None:
    event = spiral()
    mixed = np.random.default_rng(0).permutation(60)
    shuffled = replace(event, x=event.x[mixed], y=event.y[mixed], z=event.z[mixed])
    figure = event_figure.draw(shuffled, np.zeros(60, dtype=np.int64))
    (lines,) = (c for c in figure.axes[1].collections if isinstance(c, LineCollection))
    z, r = np.asarray(lines.get_segments()[0]).T
    assert (np.diff(np.hypot(z, r)) >= 0).all()


def test_colours_of_neighbours_in_number_differ_and_show_on_white() -> None:
    found = colours(200)
    assert len(np.unique(found, axis=0)) == 200
    assert all(np.abs(a - b).max() > 0.2 for a, b in combinations(found[:5], 2))
    assert (found @ [0.2126, 0.7152, 0.0722] < 0.85).all()  # relative luminance


@pytest.mark.parametrize(("size", "tracks"), [(0, 0), (1, 0), (1, 1), (5, 0), (60, 1)])
@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_small_events_are_drawn_too(tmp_path: Path, size: int, tracks: int, suffix: str) -> None:
    event_figure.save(event_figure.draw(spiral(size), labels_of(size, tracks)), tmp_path / f"d{suffix}")
    assert (tmp_path / f"d{suffix}").stat().st_size > 1000


def test_the_command(tmp_path: Path) -> None:
    events = [replace(spiral(), event_id=number) for number in (3, 4)]
    write_events(tmp_path / "events.parquet", events)
    with TracksWriter(tmp_path / "tracks.csv", per="track") as writer:
        writer.write(events[1], labels_of(60, 4))
    output = tmp_path / "out" / "display.png"
    command = [sys.executable, str(SCRIPT), str(tmp_path / "events.parquet"), str(tmp_path / "tracks.csv")]
    done = subprocess.run(
        [*command, "--event", "4", "--output", str(output)], capture_output=True, text=True, check=True
    )
    first, settings = done.stdout.splitlines()
    assert first == f"{output}: event 4, 60 spacepoints, 4 tracks"
    assert settings.startswith("settings:   exatrkx ")
    kept = json.loads(output.with_name("display.png.settings.json").read_text())
    assert (kept["event"], kept["tracks"]) == (4, str(tmp_path / "tracks.csv"))
    assert done.stderr == ""
    image = imread(output)
    assert image.shape[1] > 1500
    colours = np.unique(image[::4, ::4, :3].reshape(-1, 3), axis=0)
    assert len(colours) > 50
    assert any(np.allclose(colour, to_rgb(event_figure._NOISE), atol=0.02) for colour in colours)


def test_the_suffix_says_what_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_events(Path("events.parquet"), [spiral()])
    labels = np.where(labels_of(60, 4) == 2, 9, labels_of(60, 4))
    with TracksWriter(Path("tracks.csv")) as writer:
        writer.write(spiral(), labels)
    beginnings = {"d.html": b"<!DOCTYPE html>", "d.json": b'{"Event 7"', "d.png": b"\x89PNG", "d.svg": b"<?xml"}
    for name, beginning in beginnings.items():
        assert event_display.main(["events.parquet", "tracks.csv", "--output", name]) == 0
        assert Path(name).read_bytes().startswith(beginning)
        first, _ = capsys.readouterr().out.splitlines()
        assert first == f"{name}: event 7, 60 spacepoints, 4 tracks", "whatever their numbers"
        assert json.loads(Path(f"{name}.settings.json").read_text())["event"] == 7


@pytest.mark.server
def test_scores_of_a_server(server: TritonServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiny_networks import clumps  # noqa: PLC0415 - imports torch

    monkeypatch.chdir(tmp_path)
    x, y, z = positions(clumps(5, 6)[0])
    event = Event(event_id=7, x=x, y=y, z=z)
    with TrackingClient(server.grpc_url) as client:
        found = client.find_tracks(event, with_edges=True)
    assert found.labels.max() > 1
    assert found.edge_index is not None
    assert found.edge_scores is not None
    write_events(Path("events.parquet"), [event])
    with TracksWriter(Path("tracks.csv")) as writer:
        writer.write(event, found.labels)
    command = ["events.parquet", "tracks.csv", "--scores", "--url", server.grpc_url, "--output", "d.html"]
    assert event_display.main(command) == 0
    (encoded,) = re.findall(r'"score": {"type": "Float32Array", "data": "(.*?)"}', Path("d.html").read_text())
    first, second = found.labels[found.edge_index]
    within = [found.edge_scores[(first == label) & (second == label)] for label in range(found.labels.max() + 1)]
    expected = [np.mean([1 / (1 + math.exp(-score)) for score in scores.tolist()]) for scores in within]
    np.testing.assert_allclose(np.frombuffer(base64.b64decode(encoded), "<f4"), expected, rtol=1e-5)


def test_a_server_that_is_not_there_leaves_the_page_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_events(Path("events.parquet"), [spiral()])
    with TracksWriter(Path("tracks.csv")) as writer:
        writer.write(spiral(), labels_of(60, 4))
    Path("d.html").write_text("before")
    command = ["events.parquet", "tracks.csv", "--scores", "--url", "127.0.0.1:9", "--retry-for", "0"]
    assert event_display.main([*command, "--output", "d.html"]) == 3
    assert Path("d.html").read_text() == "before"
    assert capsys.readouterr().err.startswith("event_display.py: ")
    with pytest.raises(SystemExit, match="2"):
        event_display.main([*command, "--output", "d.png"])
    assert "--scores is of a page" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["events.parquet", "tracks.csv", "--event", "5"], "no event 5 among 2"),
        (["events.parquet", "tracks.csv", "--event", "3"], "tracks.csv: no tracks of event 3 in it"),
        (["events.parquet", "absent.csv", "--event", "4"], "absent.csv: cannot be read"),
        (["absent.parquet", "tracks.csv"], "absent.parquet: no such file"),
        (
            ["events.parquet", "tracks.csv", "--event", "4", "--output", "d.bmp2"],
            "d.bmp2: Format 'bmp2' is not supported",
        ),
    ],
)
def test_what_cannot_be_drawn(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    reason: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    events = [replace(spiral(), event_id=number) for number in (3, 4)]
    write_events(Path("events.parquet"), events)
    with TracksWriter(Path("tracks.csv")) as writer:
        writer.write(events[1], labels_of(60, 4))
    assert event_display.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("event_display.py: ")
    assert reason in error
