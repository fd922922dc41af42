"""The end of a process and of everything that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time

_STRAGGLERS_S = 5.0
_POLL_S = 0.05


def stop_process_group(process: subprocess.Popen[bytes], *, grace_s: float) -> None:
    """End `process`, the leader of its process group, and the whole group: SIGTERM first, SIGKILL after `grace_s`.

    Where the leader died without its children, these get a few seconds: Triton's Python models notice the death of
    their server within two, and then remove the shared memory that a SIGKILL would leave behind.
    """
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=grace_s)
    if process.poll() is None:
        process.kill()
        process.wait()
    deadline = time.monotonic() + _STRAGGLERS_S
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
