"""Processes of a server: how one starts, is asked to stop, ends with all that it started, and what it leaves."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

_STRAGGLERS_S = 5.0
_POLL_S = 0.05

_SCRATCH: Final = "exatrkx-backends-"
_SCRATCH_NAME: Final = re.compile(rf"{_SCRATCH}(?P<pid>\d+)-\w+")


def start_process(
    command: Sequence[str], variables: Mapping[str, str], log_file: Path, folder: Path | None = None
) -> subprocess.Popen[bytes]:
    """A process in a session of its own, which the kernel ends by SIGTERM when the thread that started it ends.

    Its output is appended to `log_file`. Ctrl-C in a terminal does not reach it.
    """
    with log_file.open("ab") as output:
        return subprocess.Popen(
            tethered(command),
            cwd=folder,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def tethered(command: Sequence[str]) -> list[str]:
    """The command as a program that ends when this process does, and that may have secrets; see `parent_death.py`."""
    program = str(Path(__file__).parent / "parent_death.py")
    return [sys.executable, "-I", "-S", program, str(os.getpid()), *command]


def stop_process_group(process: subprocess.Popen[bytes], *, grace_s: float) -> None:
    """End `process`, the leader of its process group, and the whole group: SIGTERM first, SIGKILL after `grace_s`.

    Where the leader died without its children, these get a few seconds of it: Triton's Python models notice the death
    of their server within two, and then remove the shared memory that a SIGKILL leaves behind.
    """
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=grace_s)
    if process.poll() is None:
        process.kill()
        process.wait()
    _signal_group(process.pid, signal.SIGCONT)  # or a stopped one would not notice
    deadline = time.monotonic() + min(grace_s, _STRAGGLERS_S)
    while _signal_group(process.pid, 0) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    _signal_group(process.pid, signal.SIGKILL)


def _signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; False when nobody is left in it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # the number may by now be somebody else's
        return False
    return True


class StopRequest:
    """Whether SIGINT, SIGTERM or SIGHUP has come.

    The handler only takes a note: an exception raised out of it could hit any line, and cut a clean stop short. SIGINT
    and SIGTERM are taken also where they were ignored before: a shell without job control, a script's, starts what is
    to run in the background so, and nothing but SIGKILL would end the server.
    """

    def __init__(self) -> None:
        self.made = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # as nohup starts it
                signal.signal(number, self._note)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.made = True


def scratch_directory() -> tempfile.TemporaryDirectory[str]:
    """A new temporary directory of this process. Removes those of processes that are gone."""
    for directory in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        match = _SCRATCH_NAME.fullmatch(directory.name)
        with contextlib.suppress(FileNotFoundError):  # its owner, or somebody else, has removed it meanwhile
            if match and directory.stat().st_uid == os.getuid() and not Path("/proc", match["pid"]).exists():
                shutil.rmtree(directory, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{os.getpid()}-")


def remove_shared_memory(prefix: str) -> None:
    """Remove the shared memory of a server that has ended: one that was killed left it behind."""
    for region in Path("/dev/shm").glob(f"{prefix}-*"):  # noqa: S108 - where Linux keeps it
        region.unlink(missing_ok=True)
