"""perf/README.md names commands that are there, and explains every column."""

from __future__ import annotations

import re
import runpy
import sys

import pytest

from exatrkx_perf import ROOT
from exatrkx_perf.results import COLUMNS

README = (ROOT / "perf" / "README.md").read_text()
SCRIPTS = sorted(set(re.findall(r"python (perf/\w+\.py)", README)))


def test_every_command_is_there() -> None:
    assert len(SCRIPTS) >= 8
    assert all((ROOT / script).is_file() for script in SCRIPTS)
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`make ([a-z-]+)`", README)) <= set(targets)


def test_every_column_is_explained() -> None:
    explained = set(re.findall(r"`(\w+)`", README)) | {"p90_ms", "p95_ms"}  # these two between `p50_ms` … `p99_ms`
    assert set(COLUMNS) <= explained


@pytest.mark.parametrize("script", [script for script in SCRIPTS if not script.startswith("perf/install")])
def test_every_command_has_help(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    monkeypatch.syspath_prepend(str(ROOT / "perf"))
    with pytest.raises(SystemExit) as ending:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    assert ending.value.code == 0
    options = re.findall(rf"{script}[^`\n]*?(--[a-z-]+)", README)
    printed = capsys.readouterr().out
    assert all(option in printed for option in options)
