"""Commit in a report: what git says of a checkout, whose index is left as it is."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from exatrkx.reporting import tables
from exatrkx.reporting.git import git


def test_the_commit_is_told_and_the_index_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, file = tmp_path / "tables.py", tmp_path / "a"
    monkeypatch.setattr(tables, "__file__", str(code))
    assert "Code: not in a git checkout; " in tables.code_line()
    git(tmp_path, "init", "--quiet")
    file.write_text("1")
    # Changed after the index was written: git has to look into it, and would note that it did.
    os.utime(file, (time.time() + 1e6,) * 2)
    git(tmp_path, "add", "a")
    git(tmp_path, "-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "--quiet", "-m", "first")
    head, index = git(tmp_path, "rev-parse", "--short", "HEAD"), tmp_path / ".git" / "index"
    before = index.stat()
    assert f"Code: commit {head}; " in tables.code_line()
    file.write_text("2")
    assert f"Code: commit {head}-dirty; " in tables.code_line()
    after = index.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    subprocess.run(["git", "-C", tmp_path, "status"], capture_output=True, check=True)
    assert index.stat().st_ino != before.st_ino, "which git's own way does not do"
