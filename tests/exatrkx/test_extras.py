"""Commands without the extras that they need to work: `--help` and `--version` all the same, and what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from exatrkx import __version__

EVENTS: Final = Path(__file__).parents[2] / "data" / "events" / "ttbar_mu0.parquet"
COMMANDS: Final = ("training", "validation", "validate", "ckf", "simulation")
EXTRAS: Final = ("torch", "torch_geometric", "safetensors", "acts", "pythia8mc", "mplhep", "cupy", "sklearn", "psutil")


def without_extras(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command where nothing of the extras can be imported."""
    code = f"import runpy, sys; sys.modules.update(dict.fromkeys({EXTRAS!r}))"
    code += f"; runpy.run_module('exatrkx.{command}', run_name='__main__')"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_and_version(command: str) -> None:
    helped = without_extras(command, "--help")
    assert helped.returncode == 0, helped.stderr
    assert "Exit codes: 0 done" in " ".join(helped.stdout.split())
    assert without_extras(command, "--version").stdout == f"exatrkx {__version__}\n"


@pytest.mark.parametrize(
    ("command", "arguments", "extra"),
    [
        ("training", ["embed", "--train", "a.parquet", "--valid", "a.parquet", "--output", "a"], "torch"),
        ("validate", [str(EVENTS)], "torch"),
        ("ckf", [], "simulate"),
        ("simulation", ["a.parquet"], "simulate"),
    ],
)
def test_what_to_install(command: str, arguments: list[str], extra: str) -> None:
    refused = without_extras(command, *arguments)
    assert refused.returncode == 1
    assert f"install 'exatrkx[{extra}]'" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_mistake_is_told_before_anything_is_missed(tmp_path: Path) -> None:
    refused = without_extras("simulation", str(tmp_path / "a.parquet"), "--pileup", "-1")
    assert refused.returncode == 2
    assert "the mean pile-up must be from 0 to 1000" in refused.stderr
