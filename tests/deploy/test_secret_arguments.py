"""Secret arguments: the program has them, and the command line that every user can read has not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from exatrkx_server.processes import tethered
from exatrkx_server.secret_arguments import place_secrets

PROGRAM: Final = """
import sys
print(*sys.argv[1:], sep="|", flush=True)
sys.stdin.read()
"""

NO_TRACING: Final = """
import ctypes, os, sys
filters = (
    b"\\x20\\0\\0\\0\\0\\0\\0\\0"  # load the number of the system call
    b"\\x15\\0\\0\\1\\x65\\0\\0\\0"  # unless it is ptrace, skip the next
    b"\\x06\\0\\0\\0\\1\\0\\5\\0"  # EPERM
    b"\\x06\\0\\0\\0\\0\\0\\xff\\x7f"  # allowed
)
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filters", ctypes.c_char_p)]
libc = ctypes.CDLL(None, use_errno=True)
no_new_privileges, seccomp, by_filter = 38, 22, 2
assert libc.prctl(no_new_privileges, 1, 0, 0, 0) == 0
program = Program(4, ctypes.cast(ctypes.create_string_buffer(filters), ctypes.c_char_p))
assert libc.prctl(seccomp, by_filter, ctypes.byref(program), 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Runs a program that may not be traced, as in a container with such a rule (seccomp)."""


def run(command: list[str], **variables: str) -> tuple[bool, str, str]:
    """Whether the secrets are hidden, the arguments as the program has them, and its command line."""
    with subprocess.Popen(
        command, env=dict(os.environ) | variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        hidden = place_secrets(process.pid)
        assert process.stdout is not None
        arguments = process.stdout.readline().rstrip("\n")
        visible = Path(f"/proc/{process.pid}/cmdline").read_text()
        process.communicate()
    return hidden, arguments, visible


def command(*arguments: str) -> list[str]:
    return tethered([sys.executable, "-c", PROGRAM, *arguments])


def test_a_secret_is_not_on_the_command_line() -> None:
    secrets = {"SECRET": "--key=open sesame", "LONG": "sesame" * 10_000, "EMPTY": ""}
    hidden, arguments, visible = run(command("first", "$LONG", "$EMPTY", "$UNKNOWN", "$SECRET", "last"), **secrets)
    assert hidden
    assert arguments.split("|") == ["first", secrets["LONG"], "", "$UNKNOWN", "--key=open sesame", "last"]
    assert "sesame" not in visible
    assert "first\0$LONG\0$EMPTY\0$UNKNOWN\0$SECRET\0last\0" in visible


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the filter has that machine's number of ptrace")
def test_where_nothing_may_be_traced_it_is_visible_and_that_is_said() -> None:
    hidden, arguments, visible = run([sys.executable, "-c", NO_TRACING, *command("$SECRET")], SECRET="sesame")
    assert not hidden
    assert arguments == "sesame"
    assert "sesame" in visible


def test_a_program_that_is_not_there() -> None:
    with subprocess.Popen(tethered(["/no/such/program", "$SECRET"]), stderr=subprocess.PIPE, text=True) as process:
        assert place_secrets(process.pid)
        assert "No such file" in process.communicate()[1]
        assert process.returncode == 1


def test_a_signal_before_the_program_begins() -> None:
    """Reaches it, as if nobody were tracing."""
    wait = "import ctypes, os, signal; ctypes.CDLL(None).ptrace(0, 0, None, None); os.kill(os.getpid(), signal.SIGTERM)"
    with subprocess.Popen([sys.executable, "-c", wait]) as process:
        assert place_secrets(process.pid)
        assert process.wait() == -signal.SIGTERM
