"""`--help` of every command: an example, which parses; and bars of progress that are on terminals alone."""

from __future__ import annotations

import argparse
import ast
import os
import re
import shlex
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Never

import pytest

from exatrkx.__main__ import COMMANDS, main
from exatrkx.progress import bar

ROOT: Final = Path(__file__).resolve().parents[2]


class ParsedError(Exception):
    """The command line was taken, and nothing has been done yet."""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_parses(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["exatrkx"])
    with pytest.raises(SystemExit) as ended:
        main([*name.split(), "--help"])
    assert ended.value.code == 0
    examples = re.findall(rf"^    (exatrkx {name}(?: .*)?)$", capsys.readouterr().out, re.MULTILINE)
    assert examples
    parse = argparse.ArgumentParser.parse_args

    def parsed(parser: argparse.ArgumentParser, *arguments: Any) -> Never:
        parse(parser, *arguments)
        raise ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parsed)
    for example in examples:
        with pytest.raises(ParsedError):
            main(shlex.split(example)[1:])


def test_the_parser_of_no_command_is_made_otherwise() -> None:
    makers = {"models_src/exatrkx/commands.py", "models_src/exatrkx/__main__.py", "perf/exatrkx_perf/command_line.py"}
    scripts = {"deploy/demo.py", "deploy/monitoring/trace_event.py", "perf/gpu_check.py", "perf/gpu_pack.py"}
    found = {file for file, text in sources().items() if "argparse.ArgumentParser(" in text}
    assert found == makers | scripts


def test_bars_are_made_in_one_place() -> None:
    importing = {
        file
        for file, text in sources().items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and node.module == "tqdm"
    }
    assert importing == {"models_src/exatrkx/progress.py"}


def test_a_bar_writes_nothing_into_a_log(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(bar(range(3), desc="reading")) == [0, 1, 2]
    assert capfd.readouterr() == ("", "")


def test_a_bar_is_on_a_terminal() -> None:
    code = "from exatrkx.progress import bar; list(bar(range(3), desc='reading', unit='file'))"
    ours, theirs = os.openpty()
    termios.tcsetwinsize(ours, (24, 80))
    subprocess.run([sys.executable, "-c", code], stderr=theirs, check=True)
    os.close(theirs)
    shown = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal, suppress(OSError):  # the end of a terminal is an error
        while data := terminal.read(1 << 16):
            shown += data
    assert re.search(rb"reading: 100%.*3/3 .*file", shown)


def sources() -> dict[str, str]:
    """Python files of the packages and scripts, by their place in the repository."""
    folders = ("models_src", "client", "deploy", "perf", "export")
    files = sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))
    return {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in files}
