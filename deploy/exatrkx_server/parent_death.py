"""Parent-death signal: `python parent_death.py PARENT_PID PROGRAM ARGUMENTS…` ends when its parent does (Linux).

A program of its own, because the setting belongs to the process that makes it, survives `exec`, and cannot be made
safely between fork and exec of a parent that has threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def main() -> None:
    """Ask the kernel for SIGTERM on the parent's death, then become the program."""
    parent, program, *arguments = sys.argv[1:]
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != int(parent):  # it died before we asked
        sys.exit(1)
    os.execvp(program, [program, *arguments])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
