"""Settings of a run: a file beside the output, the same bytes for the same settings, and a line of them."""

from __future__ import annotations

import argparse
import ast
import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from exatrkx import __version__
from exatrkx.__main__ import COMMANDS
from exatrkx.run_settings import asked, beside, keep_settings, told

HASH = "0123456789abcdef" * 4


def test_kept_beside_each_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = [tmp_path / "tracks.parquet", tmp_path / "report.md"]
    for output in outputs:
        output.write_text("")
    keep_settings({"seed": 7, "file": Path("a.parquet"), "nothing": None}, *outputs)
    for output in outputs:
        kept = json.loads((tmp_path / f"{output.name}.settings.json").read_text())
        assert kept == {"exatrkx": __version__, "seed": 7, "file": "a.parquet", "nothing": None}
    assert capsys.readouterr().out == f"settings:   exatrkx {__version__}, seed 7, file a.parquet\n"


def test_beside_the_file_that_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "tracks.csv"
    link.symlink_to(tmp_path / "there" / "real.csv")
    assert list(beside({}, link)) == [tmp_path / "there" / "real.csv.settings.json"]


def test_beside_a_folder(tmp_path: Path) -> None:
    assert list(beside({}, tmp_path)) == [tmp_path.with_name(f"{tmp_path.name}.settings.json")]


def test_nothing_beside_a_file_without_a_name(tmp_path: Path) -> None:
    """As standard output is where it goes to a file that has been removed."""
    with (tmp_path / "gone").open("w") as stream:
        (tmp_path / "gone").unlink()
        assert beside({}, Path(f"/proc/self/fd/{stream.fileno()}")) == {}


WITHOUT_OUTPUT = {"events", "install-server", "perf direct", "perf install-analyzer", "serve"}
IN_PLACES_OF_THEIR_OWN = {
    "batch": "its manifest",
    "export": "the configurations that it writes",
    "train": "exatrkx.training.run",
}


def test_every_command_with_an_output_keeps_its_settings() -> None:
    """Those that write nothing, or say elsewhere what decided it, are named here, and no others."""
    for name, (module, _) in COMMANDS.items():
        spec = find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        imported = {
            one.name
            for node in ast.walk(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom) and node.module == "exatrkx.run_settings"
            for one in node.names
        }
        keeps = bool({"keep_settings", "beside"} & imported)
        assert keeps == (name not in WITHOUT_OUTPUT | IN_PLACES_OF_THEIR_OWN.keys()), name


def test_asked_is_all_but_the_place() -> None:
    options = argparse.Namespace(seed=1, output=Path("a"), plot=Path("b"), events=["c"])
    assert asked(options, "plot") == {"events": ["c"], "seed": 1}


def test_nothing_beside_a_device(capsys: pytest.CaptureFixture[str]) -> None:
    keep_settings({"seed": 1}, Path("/dev/null"))
    assert not Path("/dev/null.settings.json").exists()
    assert "seed 1" in capsys.readouterr().out


def test_same_settings_same_bytes() -> None:
    settings, output = {"µ": 40.0, "files": ["a", "b"]}, Path("tracks.csv")
    assert beside(settings, output) == beside(dict(settings), output)
    assert beside(settings, output) != beside({**settings, "µ": 41.0}, output)


def test_a_line_of_all_that_is_set() -> None:
    line = told({"detector": {"noise": 0.1, "dead": False}, "files": ["a", "b"], "limit": None, "embed": HASH})
    assert line == f"settings:   exatrkx {__version__}, noise 0.1, files a b, embed 0123456789abcdef"
