"""Temporary directories that say whose they are, so that those of a killed process are found and removed."""

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
