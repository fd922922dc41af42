"""The suite in the background or under `nohup`, where some signals are ignored: commands that tests start take them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SHOW = """
import signal
for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"):
    print(name, signal.getsignal(getattr(signal, name)) is not signal.SIG_IGN)
"""


def test_a_command_takes_every_signal() -> None:
    shown = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["SIGINT", "True", "SIGTERM", "True", "SIGHUP", "True", "SIGQUIT", "True"]


def test_and_does_in_the_background() -> None:
    """This file's other test, in a suite that was started with those signals ignored, and that ignores them itself."""
    test = f"{__file__}::{test_a_command_takes_every_signal.__name__}"
    suite = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    ignoring = ["sh", "-c", "trap '' INT TERM HUP QUIT; exec \"$@\"", "sh", *suite]
    done = subprocess.run(ignoring, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_signal_that_was_ignored_still_is() -> None:
    script = (
        "import os, runpy, signal, sys\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "sys.path[:] = sys.argv[2:]\n"
        "runpy.run_path(sys.argv[1])\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "print('alive')"
    )
    command = [sys.executable, "-c", script, str(Path(__file__).with_name("conftest.py")), *sys.path]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"alive\n"), done.stderr
