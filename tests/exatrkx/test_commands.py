"""Conventions of all commands: one base of errors, one table of exit codes, `--help` and `--version`."""

from __future__ import annotations

import argparse
import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from exatrkx import __version__
from exatrkx.commands import EXIT_CODES, add_version, run_command
from exatrkx.errors import ExatrkxError, ExitCode

ROOT: Final = Path(__file__).resolve().parents[2]
ERRORS: Final = ("exatrkx.errors", "exatrkx_client.errors", "exatrkx_server.errors", "exatrkx_perf.errors")
SCRIPTS: Final = ("deploy/serve.py", "deploy/demo.py", "client/find_tracks.py", "client/event_display.py")


def errors_of(module: str) -> list[type[Exception]]:
    found = vars(importlib.import_module(module)).values()
    return [kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception)]


@pytest.mark.parametrize("module", ERRORS)
def test_every_error_has_the_one_base(module: str) -> None:
    errors = errors_of(module)
    assert len(errors) > 3
    assert all(issubclass(error, ExatrkxError) for error in errors)


@pytest.mark.parametrize(
    ("module", "name", "code"),
    [
        ("exatrkx.errors", "ContractError", 1),
        ("exatrkx.errors", "GraphTooLargeError", 1),
        ("exatrkx.errors", "SimulationError", 1),
        ("exatrkx.errors", "EventFormatError", 2),
        ("exatrkx_client.errors", "RequestRejectedError", 2),
        ("exatrkx_client.errors", "ServerUnavailableError", 3),
        ("exatrkx_client.errors", "DeadlineError", 3),
        ("exatrkx_client.errors", "ServedModelError", 3),
        ("exatrkx_client.errors", "ServerError", 3),
        ("exatrkx_server.errors", "ServerSetupError", 1),
        ("exatrkx_server.errors", "PortInUseError", 1),
    ],
)
def test_exit_code_of_an_error(module: str, name: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise getattr(importlib.import_module(module), name)("the reason")

    assert run_command("a-command", work) == code
    assert capsys.readouterr() == ("", "a-command: the reason\n")


def test_the_text_for_a_help_has_every_code() -> None:
    assert re.findall(r"\d+", EXIT_CODES) == [str(code.value) for code in ExitCode]


@pytest.mark.parametrize(("result", "code"), [(None, 0), (7, 0), (ExitCode.FAILED, 1)])
def test_exit_code_of_work_that_ends(result: object, code: int) -> None:
    assert run_command("a-command", lambda: result) == code


def test_an_interrupt(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise KeyboardInterrupt

    assert run_command("a-command", work) == 130
    assert capsys.readouterr().err == "a-command: interrupted\n"


def test_an_operating_systems_error_is_a_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("a-command", (tmp_path / "none").read_text) == 1
    assert str(tmp_path / "none") in capsys.readouterr().err


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_command("a-command", lambda: 1 // 0)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_version(parser)
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"exatrkx {__version__}\n"


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_say_what_they_are(script: str) -> None:
    helped, version = (
        subprocess.run([sys.executable, str(ROOT / script), option], capture_output=True, text=True, check=True)
        for option in ("--help", "--version")
    )
    assert "Exit codes: 0 done" in " ".join(helped.stdout.split())
    assert version.stdout == f"exatrkx {__version__}\n"
