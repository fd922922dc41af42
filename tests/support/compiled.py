"""The custom backend in C++, built for the tests that need it; skipped, with the reason, where nothing can build it."""

from __future__ import annotations

import fcntl
import functools
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from exatrkx_server import Access, ServerOptions, TritonServer

if TYPE_CHECKING:
    from exatrkx_server.options import Stages

ROOT: Final = Path(__file__).resolve().parents[2]
BUILD: Final = ROOT / "build" / "custom-backend"
BUILD_TIMEOUT_S: Final = 1_800


@functools.cache
def build(target: str = "all") -> Path:
    """Bring the build of `make custom-backend` up to date. Returns its directory, which holds `exatrkx-engine`."""
    compilers = ("c++", "g++", "clang++")
    if shutil.which("cmake") is None or not any(shutil.which(name) for name in compilers):
        pytest.skip("the custom backend in C++ needs CMake and a C++20 compiler, and one of them is not installed")
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run of the tests may be building
        _run(
            "cmake",
            "-S",
            str(ROOT / "backends" / "exatrkx"),
            "-B",
            str(BUILD),
            f"-DPython3_EXECUTABLE={sys.executable}",
        )
        _run("cmake", "--build", str(BUILD), "--target", target, "--parallel", "2")
    return BUILD


def server(repository: Path, directory: Path, stages: Stages = "python") -> TritonServer:
    """A server, yet to be started, whose backends of this project are compiled; its log is in `directory`."""
    build()
    log_file = directory / "tritonserver.log"
    access = Access(allow=("shared-memory",))
    options = ServerOptions(log_file=log_file, custom_backend="compiled", stages=stages, access=access)
    return TritonServer(repository, options)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
