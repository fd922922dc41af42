"""Secret arguments of a program: out of its environment, into its memory, and not onto its command line.

Every user of a machine can read every process's command line (/proc/PID/cmdline), but only the process's own user its
environment. A program that takes a secret as an argument alone is therefore started with `$NAME` in its place; when the
program is in memory and has not begun, its pointer to that argument is set to the value of NAME in its environment.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_PTRACE_CONT: Final = 7  # <sys/ptrace.h>
_PTRACE_DETACH: Final = 17
_START_STACK: Final = 28  # field of /proc/PID/stat; man 5 proc
_LONGEST: Final = 1 << 17  # of one argument or variable; MAX_ARG_STRLEN, <linux/binfmts.h>


def place_secrets(pid: int) -> bool:
    """Let a child begin, with its secrets in place; False where the kernel does not allow that, and they are visible.

    Args:
        pid: of a child that this thread has started by `parent_death.py`, with an argument that begins with `$`.
    """
    ptrace = ctypes.CDLL(None).ptrace
    while True:
        stop = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        if stop is None or stop.si_code not in {os.CLD_TRAPPED, os.CLD_STOPPED}:
            return True  # it could not be started, which whoever waits for it finds out
        if stop.si_code == os.CLD_STOPPED:
            os.kill(pid, signal.SIGCONT)
            return False
        if stop.si_status == signal.SIGTRAP:
            break
        ptrace(_PTRACE_CONT, pid, None, stop.si_status)  # a signal on its way to the child
    try:
        with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:  # noqa: PTH123 - a seek is all that is wanted
            _place(memory, _stack(pid))
    finally:
        ptrace(_PTRACE_DETACH, pid, None, None)
    return True


def _place(memory: BinaryIO, stack: int) -> None:
    """Argument count, pointers to arguments, 0, pointers to variables, 0: how every Linux program begins."""
    arguments = list(_pointers(memory, stack + 8))
    values = {}
    for _, address in _pointers(memory, stack + 8 * (len(arguments) + 2)):
        name, _, _ = _text(memory, address).partition(b"=")
        values[b"$" + name] = address + len(name) + 1
    for place, address in arguments:
        if value := values.get(_text(memory, address)):
            memory.seek(place)
            memory.write(struct.pack("P", value))


def _pointers(memory: BinaryIO, place: int) -> Iterator[tuple[int, int]]:
    """Where each pointer stands, and where it points to."""
    while True:
        memory.seek(place)
        (address,) = struct.unpack("P", memory.read(8))
        if not address:
            return
        yield place, address
        place += 8


def _text(memory: BinaryIO, address: int) -> bytes:
    memory.seek(address)
    return memory.read(_LONGEST).partition(b"\0")[0]


def _stack(pid: int) -> int:
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:  # noqa: PTH123
        # The second field is a name, which may have blanks and brackets in it.
        return int(stat.read().rpartition(")")[2].split()[_START_STACK - 3])
