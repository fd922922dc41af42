"""Parent-death signal: `python parent_death.py PARENT_PID PROGRAM ARGUMENTS…` ends when its parent does (Linux).

Where an argument is `$NAME`, the parent puts the value of that variable there while the program stands still; see
`secret_arguments.py`. Where nothing may be traced, that is done here, for every user of the machine to see.

A program of its own, because the setting belongs to the process that makes it, survives `exec`, and cannot be made
safely between fork and exec of a parent that has threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
_PTRACE_TRACEME = 0  # <sys/ptrace.h>


def end_with_parent(parent: int) -> None:
    """Ask the kernel for SIGTERM when the thread ends that made this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before we asked
        sys.exit(1)


def main() -> None:
    """Ask the kernel for SIGTERM on the parent's death, then become the program."""
    parent, program, *arguments = sys.argv[1:]
    end_with_parent(int(parent))
    libc = ctypes.CDLL(None, use_errno=True)
    if any(argument.startswith("$") for argument in arguments) and libc.ptrace(_PTRACE_TRACEME, 0, None, None) != 0:
        values = {f"${name}": value for name, value in os.environ.items()}
        arguments = [values.get(argument, argument) for argument in arguments]
        os.kill(os.getpid(), signal.SIGSTOP)  # the parent waits for a stop
    os.execvp(program, [program, *arguments])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
