"""Turns of networks on the processors (engine/turns.hpp), under the watch of a thread sanitizer where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
COMPILER: Final = shutil.which(os.environ.get("CXX", "g++"))


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler on PATH")
@pytest.mark.parametrize("options", [("-O2",), ("-O1", "-g", "-fsanitize=thread")], ids=["fast", "watched"])
def test_turns(options: tuple[str, ...], tmp_path: Path) -> None:
    program = tmp_path / "turns"
    sources = [Path(__file__).with_name("turns.cpp"), ROOT / "backends" / "exatrkx" / "engine" / "turns.cpp"]
    build = [str(COMPILER), "-std=c++20", "-pthread", *options, *map(str, sources), "-o", str(program)]
    built = subprocess.run(build, capture_output=True, text=True, check=False)
    if built.returncode != 0 and "tsan" in built.stderr:
        pytest.skip("the compiler has no thread sanitizer")
    assert built.returncode == 0, built.stderr
    done = subprocess.run([program], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "good\n"), done.stdout + done.stderr
