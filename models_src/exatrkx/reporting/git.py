"""Answers of git about a checkout, got without a lock: whoever commits there meanwhile is not disturbed."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def git(folder: Path, *arguments: str) -> str:
    """What `git` prints in a folder.

    `describe --dirty` writes the index in any case; `status` does not here.

    Raises:
        OSError: there is no git.
        subprocess.CalledProcessError: git failed; the folder is in no checkout, say.
    """
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
