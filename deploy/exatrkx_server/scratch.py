"""What a killed process leaves behind says whose it is, and is removed."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

_PREFIX = "exatrkx-backends-"
_NAME = re.compile(rf"{_PREFIX}(?P<pid>\d+)-\w+")


def scratch_directory() -> tempfile.TemporaryDirectory[str]:
    """A new temporary directory of this process. Removes those of processes that are gone."""
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        match = _NAME.fullmatch(directory.name)
        if match and directory.stat().st_uid == os.getuid() and not Path("/proc", match["pid"]).exists():
            shutil.rmtree(directory, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-")


def remove_shared_memory(prefix: str) -> None:
    """Remove the shared memory of a server that has ended: one that was killed left it behind."""
    for region in Path("/dev/shm").glob(f"{prefix}-*"):  # noqa: S108 - where Linux keeps it
        region.unlink(missing_ok=True)
