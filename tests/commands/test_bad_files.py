"""Every command with every kind of bad file to read or to write: one line, a known exit code, nothing overwritten."""

from __future__ import annotations

import os
import re
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from exatrkx.__main__ import main
from exatrkx.errors import ExitCode
from exatrkx.events.readers import read_events
from exatrkx.events.tracks import TracksWriter

ROOT: Final = Path(__file__).resolve().parents[2]
EVENTS: Final = ROOT / "data" / "events" / "ttbar_mu0.parquet"
BASELINE: Final = ROOT / "perf" / "baseline"
NO_SERVER: Final = ("--url", "127.0.0.1:9", "--wait", "0")

INPUTS: Final = {
    "find EVENTS": "find IN --url 127.0.0.1:9 --wait 0 --output OUT/t.parquet",
    "find --columns": "find EVENTS --columns IN --url 127.0.0.1:9 --wait 0 --output OUT/t.parquet",
    "display EVENTS": "display IN TRACKS --output OUT/d.png",
    "display TRACKS": "display EVENTS IN --output OUT/d.png",
    "validate EVENTS": "validate IN --output OUT/r.md",
    "validate --tracks": "validate EVENTS --no-networks --tracks mine IN --output OUT/r.md",
    "validate --weights": "validate EVENTS --weights IN --output OUT/r.md",
    "validate --working-point": "validate EVENTS --working-point IN --output OUT/r.md",
    "train --train": "train embed --train IN --valid EVENTS --output OUT/w",
    "train --valid": "train embed --train EVENTS --limit 1 --valid IN --output OUT/w",
    "train --start": "train embed --train EVENTS --limit 1 --valid EVENTS --start IN --output OUT/w",
    "train --mean-with": "train embed --train EVENTS --limit 1 --valid EVENTS --mean-with IN --output OUT/w",
    "export --weights": "export --weights IN --output OUT/m",
    "export --working-point": "export --working-point IN --output OUT/m",
    "export --embed": "export --embed IN --output OUT/m",
    "export --embed module": "export --embed IN:build --output OUT/m",
    "export --embed-checkpoint": "export --embed FACTORY:build --embed-checkpoint IN --output OUT/m",
    "export --repository": "export --repository IN --output OUT/m",
    "perf compare RESULTS": "perf compare IN --output OUT/c --no-plots",
    "perf breakdown RESULTS": "perf breakdown IN --plot OUT/p.png",
    "perf make-input EVENTS": "perf make-input IN --output OUT/e.json",
    "perf direct EVENTS": "perf direct IN",
    "perf direct --model-repository": "perf direct EVENTS --limit 1 --workers 1 --model-repository IN",
    "perf stages EVENTS": "perf stages IN --output OUT/s.csv",
    "perf stages --weights": "perf stages EVENTS --sizes 1000 --weights IN --output OUT/s.csv",
    "perf sweep EVENTS": "perf sweep IN --output OUT/p",
    "balancer SERVERS": "balancer haproxy IN --output OUT/b.cfg",
    "perf figures --crowded": "perf figures --crowded IN --output OUT/f.md",
}
"""Each option or argument that names something to read."""

WAITS: Final = tuple(name for name in INPUTS if not re.search("EVENTS|TRACKS|--tracks|--crowded", name))
"""Those that wait for what comes through a pipe, as any program does."""

OUTPUTS: Final = {
    "find": "find EVENTS --url 127.0.0.1:9 --wait 0 --output PLACE.parquet",
    "find --metrics": "find EVENTS --url 127.0.0.1:9 --wait 0 --metrics PLACE.prom",
    "simulate": "simulate PLACE.parquet --events 1",
    "ckf": "ckf --events 1 --tracks PLACE.csv",
    "ckf report": "ckf --events 0 --output PLACE.md",
    "display": "display EVENTS TRACKS --output PLACE.png",
    "display page": "display EVENTS TRACKS --output PLACE.html",
    "display Phoenix": "display EVENTS TRACKS --output PLACE.json",
    "validate": "validate EVENTS --no-networks --tracks mine TRACKS --output PLACE.md",
    "perf breakdown": "perf breakdown BASELINE --plot PLACE.png",
    "perf make-input": "perf make-input EVENTS --output PLACE.json",
    "perf stages": "perf stages EVENTS --sizes 1000 --repeats 1 --output PLACE.csv",
    "perf figures": "perf figures --output PLACE.md",
    "perf balance": "perf balance --output PLACE.md",
    "balancer": "balancer haproxy SERVERS --output PLACE.cfg",
}
"""Each option or argument that names a file to write."""


SLOW: Final = ("simulate", "ckf", "ckf report", "perf stages", "perf figures", "perf balance")
"""Outputs that are written after a simulation or a measurement."""

ALIKE: Final = {
    "find": "find IN.parquet --url 127.0.0.1:9 --wait 0 --output SAME.parquet",
    "find --metrics": "find IN.parquet --url 127.0.0.1:9 --wait 0 --metrics SAME.parquet",
    "ckf": "ckf --events 0 --tracks IN.csv --output SAME.csv",
    "display events": "display IN.parquet TRACKS --output SAME.parquet",
    "display tracks": "display EVENTS IN.parquet --output SAME.parquet",
    "validate events": "validate IN.parquet --output SAME.parquet",
    "validate tracks": "validate EVENTS --no-networks --tracks mine IN.parquet --output SAME.parquet",
    "perf breakdown": "perf breakdown IN.csv --plot SAME.csv",
    "perf make-input": "perf make-input IN.parquet --output SAME.parquet",
    "perf stages": "perf stages IN.parquet --output SAME.parquet",
    "perf figures": "perf figures --crowded IN.parquet --output SAME.parquet",
    "balancer": "balancer haproxy IN.csv --output SAME.csv",
}
"""An input and an output that may be the same file."""


def noise(size: int, seed: int) -> bytes:
    return np.random.default_rng(seed).bytes(size)


def made(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def link_loop(folder: Path) -> Path:
    (folder / "loop.parquet").symlink_to(folder / "loop.parquet")
    return folder / "loop.parquet"


def folder_with_a_folder(folder: Path) -> Path:
    (folder / "in" / "events.parquet").mkdir(parents=True)
    return folder / "in"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.parquet")
    return folder / "pipe.parquet"


KINDS: Final[dict[str, Callable[[Path], Path]]] = {
    "missing": lambda folder: folder / "none.parquet",
    "no pattern": lambda folder: folder / "none*.parquet",
    "below a file": lambda folder: made(folder / "file", b"") / "x.parquet",
    "a name too long": lambda folder: folder / ("x" * 300 + ".parquet"),
    "a loop of links": link_loop,
    "an empty folder": lambda folder: Path(shutil.copytree(folder, folder / "in")),
    "a folder of folders": folder_with_a_folder,
    "a pipe": pipe,
    "a device": lambda _: Path("/dev/null"),
    "empty": lambda folder: made(folder / "empty.parquet", b""),
    "empty text": lambda folder: made(folder / "empty.csv", b""),
    "cut off": lambda folder: made(folder / "cut.parquet", EVENTS.read_bytes()[:-100]),
    "cut off early": lambda folder: made(folder / "cut.parquet", EVENTS.read_bytes()[:7]),
    "noise": lambda folder: made(folder / "noise.parquet", noise(5000, 1)),
    "noise with a head": lambda folder: made(folder / "noise.parquet", b"PAR1" + noise(5000, 2) + b"PAR1"),
    "noise as text": lambda folder: made(folder / "noise.csv", noise(5000, 3)),
    "noise as gzip": lambda folder: made(folder / "noise.csv.gz", b"\x1f\x8b" + noise(5000, 4)),
    "JSON": lambda folder: made(folder / "events.csv", b'{"x": [1.0, 2.0]}\n'),
    "another text": lambda folder: made(folder / "words.csv", b"once,upon\na,time\n"),
}


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("tracks") / "tracks.parquet"
    with TracksWriter(file) as writer:
        for event in read_events(EVENTS):
            writer.write(event, np.zeros(len(event), dtype=np.int64))
    return file


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", ["exatrkx"])
    return folder


@pytest.fixture
def places(here: Path, tmp_path: Path, tracks: Path) -> dict[str, Path]:
    """What stands for a path in the tables."""
    (tmp_path / "out").mkdir()
    factory = made(tmp_path / "factory.py", b"from torch import nn\n\n\ndef build():\n    return nn.Linear(3, 3)\n")
    servers = made(tmp_path / "servers.json", b'{"grpc_url": "127.0.0.1:9", "http_url": "127.0.0.1:9"}')
    return {"SERVERS": servers, "HERE": here, "OUT": tmp_path / "out", "TRACKS": tracks, "FACTORY": factory}


def words(template: str, **places: Path) -> list[str]:
    known = {"EVENTS": EVENTS, "BASELINE": BASELINE, **places}
    named = re.compile("|".join(map(re.escape, sorted(known, key=len, reverse=True))))
    return [named.sub(lambda found: str(known[found[0]]), word) for word in template.split()]


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which a command ends; its exit code is one of the table's, and not that of success."""
    capsys.readouterr()
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = int(str(ended.code))
    error = capsys.readouterr().err
    told = [line for line in error.splitlines() if line.startswith("exatrkx ")]
    assert code in set(ExitCode) - {ExitCode.DONE}, error
    assert "Traceback" not in error
    assert len(told) == 1, error
    assert error.endswith(f"{told[0]}\n"), error
    return told[0]


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name in INPUTS for kind in KINDS if name not in WAITS or kind != "a pipe"]
)
def test_an_input_that_is_none(
    places: dict[str, Path], name: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = KINDS[kind](places["HERE"])
    line = refusal(words(INPUTS[name], IN=bad, **places), capsys)
    assert bad.name[:20] in line or "here" in line
    assert not files_in(places["OUT"])


@pytest.mark.parametrize(
    "arguments",
    [
        "simulate OUT/x.parquet --events HUGE",
        "simulate OUT/x.parquet --events 1 --first-event HUGE",
        "ckf --events HUGE",
        "find EVENTS --limit HUGE",
        "train embed --train EVENTS --valid EVENTS --output OUT/w --seed HUGE",
        "train embed --train EVENTS --valid EVENTS --output OUT/w --threads HUGE",
        "train embed --train EVENTS --valid EVENTS --output OUT/w --threads -1",
        "train embed --train EVENTS --valid EVENTS --output OUT/w --limit -1",
        "train choose --valid EVENTS --output OUT/w --keep-radius nan",
        "train choose --valid EVENTS --output OUT/w --keep-filter 1.5",
        "perf stages --seed -1",
        "perf stages EVENTS --edges-per-spacepoint nan",
        "perf compare --url 127.0.0.1:9 --model a --pid HUGE",
        "perf compare --url 127.0.0.1:9 --model a --pid 0",
    ],
)
def test_a_number_that_is_none(places: dict[str, Path], arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    option = arguments.split()[-2]
    line = refusal(words(arguments, HUGE=Path(str(10**20)), **places), capsys)
    assert re.search(rf"error: argument {option}: must (be at (least|most)|not be) .*, found ", line)
    assert not files_in(places["OUT"])


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_that_is_a_folder(places: dict[str, Path], name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = words(OUTPUTS[name], PLACE=places["OUT"] / "taken", **places)
    folder = next(Path(word) for word in arguments if "taken" in word)
    folder.mkdir()
    assert refusal(arguments, capsys).endswith(f": {folder}: is a folder; name a file to write")


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_in_a_file(places: dict[str, Path], name: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = made(places["OUT"] / "file", b"of mine")
    assert "below" in refusal(words(OUTPUTS[name], PLACE=file / "below", **places), capsys)
    assert files_in(places["OUT"]) == {"file": b"of mine"}


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_file_size_that_is_not_allowed(
    places: dict[str, Path], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if name in SLOW or name.startswith("find"):  # `find` asks its server before it writes
        pytest.skip("simulates or measures first")
    arguments = words(OUTPUTS[name], PLACE=places["OUT"] / "earlier", **places)
    output = made(next(Path(word) for word in arguments if "earlier" in word), b"of an earlier run")
    with soft_limit(resource.RLIMIT_FSIZE, 8):
        assert "cannot be written: File too large" in refusal(arguments, capsys)
    assert files_in(places["OUT"]) == {output.name: b"of an earlier run"}


@pytest.mark.parametrize("spelling", ["as it is", "./", "..", "link", "hard link", "link in a folder"])
@pytest.mark.parametrize("name", ALIKE)
def test_an_output_that_is_an_input(
    places: dict[str, Path], name: str, spelling: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = EVENTS if "IN.parquet" in ALIKE[name] else BASELINE / "results.csv"
    own = Path(shutil.copy(source, places["HERE"] / f"own{source.suffix}"))
    before = own.read_bytes()
    other = spelled(own, spelling)
    arguments = words(ALIKE[name], **{f"IN{source.suffix}": own, f"SAME{source.suffix}": other}, **places)
    assert re.search(r": is (an input|another output), too", refusal(arguments, capsys))
    assert own.read_bytes() == before
    assert not files_in(places["OUT"])


def test_an_output_that_belongs_to_an_event(places: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    made(places["HERE"] / "event1-hits.csv", b"hit_id,x,y,z\n1,30,0,0\n")
    truth = made(places["HERE"] / "event1-truth.csv", b"hit_id,particle_id\n1,0\n")
    arguments = ["find", str(places["HERE"]), *NO_SERVER, "--output", str(truth)]
    assert "is an input, too" in refusal(arguments, capsys)
    assert truth.read_bytes().startswith(b"hit_id,particle_id")


@pytest.mark.parametrize("name", ["find EVENTS", "perf make-input EVENTS", "display EVENTS", "validate EVENTS"])
def test_few_descriptors(places: dict[str, Path], name: str, capsys: pytest.CaptureFixture[str]) -> None:
    own = Path(shutil.copy(EVENTS, places["HERE"] / "own.parquet"))
    used = max(map(int, os.listdir("/proc/self/fd")))  # noqa: PTH208 - names that are numbers
    arguments = words(INPUTS[name], IN=own, **places)
    with soft_limit(resource.RLIMIT_NOFILE, used), everything_open():
        assert "Too many open files" in refusal(arguments, capsys)
    assert not files_in(places["OUT"])


def spelled(file: Path, spelling: str) -> Path:
    """Another way to the same file."""
    match spelling:
        case "./":
            return Path(f"./{file.name}")
        case "..":
            return file.parent / ".." / file.parent.name / file.name
        case "link":
            file.with_name(f"link{file.suffix}").symlink_to(file)
            return file.with_name(f"link{file.suffix}")
        case "hard link":
            file.with_name(f"hard{file.suffix}").hardlink_to(file)
            return file.with_name(f"hard{file.suffix}")
        case "link in a folder":
            (file.parent / "folder").symlink_to(file.parent)
            return file.parent / "folder" / file.name
    return file


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@contextmanager
def soft_limit(what: int, most: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(what)
    resource.setrlimit(what, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(what, (soft, hard))


@contextmanager
def everything_open() -> Iterator[None]:
    """No descriptor is left below the limit."""
    taken = []
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
