"""Processes of a server as the kernel sees them (`/proc`): the stages' state and CPU time, and file descriptors."""

from __future__ import annotations

import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_STUB: Final = "triton_python_backend_stub"
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_OPEN_FILES: Final = re.compile(r"^Max open files\s+(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One process at one moment.

    Attributes:
        letter: `R` running, `S` sleeping, `T` stopped, `Z` ended and not yet waited for, … as `man 5 proc` has it.
        cpu_s: CPU time that it has taken, seconds.
        exit_status: how it ended, as `wait` has it; 0 while it runs.
    """

    letter: str
    cpu_s: float
    exit_status: int

    @property
    def stopped(self) -> bool:
        return self.letter in "Tt"

    @property
    def death(self) -> str | None:
        """How it ended, if it did."""
        if self.letter not in "ZX":
            return None
        number = os.waitstatus_to_exitcode(self.exit_status)
        return f"was killed by {signal.Signals(-number).name}" if number < 0 else f"ended with code {number}"


GONE: Final = ProcessState("X", 0.0, 0)


def process_state(pid: int, root: Path = Path("/proc")) -> ProcessState:
    """The state of a process; `GONE` where there is none."""
    try:
        # The name before the last bracket may have blanks and brackets itself.
        fields = (root / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return GONE
    return ProcessState(fields[0], (int(fields[11]) + int(fields[12])) / _TICKS, int(fields[-1]))


def stage_processes(group: int, root: Path = Path("/proc")) -> dict[int, str]:
    """The processes of a group that serve Python models, each with its model's name."""
    found = {}
    for directory in root.glob("[0-9]*"):
        try:
            fields = (directory / "stat").read_text(errors="replace").rpartition(")")[2].split()
            arguments = (directory / "cmdline").read_text(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if int(fields[2]) == group and Path(arguments[0]).name == _STUB:
            found[int(directory.name)] = Path(arguments[1]).parents[1].name  # …/MODEL/1/model.py
    return found


def descriptors(pid: int, root: Path = Path("/proc")) -> tuple[int, int]:
    """How many file descriptors a process has open, and how many it may have; (0, 1) where there is none."""
    try:
        limit = _OPEN_FILES.search((root / str(pid) / "limits").read_text())
        used = len(os.listdir(root / str(pid) / "fd"))  # noqa: PTH208 - names alone, of what may be gone in a moment
    except (FileNotFoundError, ProcessLookupError):
        return 0, 1
    return used, int(limit[1]) if limit else used + 1
