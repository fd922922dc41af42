"""Compute slots (engine/compute_slots.hpp) and usable processors, under a thread sanitizer where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from exatrkx_server.resources import usable_cores

pytestmark = pytest.mark.slow

TESTS: Final = Path(__file__).resolve().parent
ENGINE: Final = TESTS.parents[1] / "backends" / "exatrkx" / "engine"
COMPILER: Final = shutil.which(os.environ.get("CXX", "g++"))


@pytest.fixture(scope="module", params=[("-O2",), ("-O1", "-g", "-fsanitize=thread")], ids=["fast", "watched"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if COMPILER is None:
        pytest.skip("no C++ compiler on PATH")
    path = tmp_path_factory.mktemp("slots") / "slots"
    sources = [TESTS / "compute_slots.cpp", ENGINE / "compute_slots.cpp", ENGINE / "process.cpp"]
    build = [str(COMPILER), "-std=c++20", "-pthread", *request.param, *map(str, sources), "-o", str(path)]
    built = subprocess.run(build, capture_output=True, text=True, check=False)
    if built.returncode != 0 and "tsan" in built.stderr:
        pytest.skip("the compiler has no thread sanitizer")
    assert built.returncode == 0, built.stderr
    return path


def run(program: Path, variable: str | None, slots: int, quota: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "EXATRKX_COMPUTE_SLOTS"}
    if variable is not None:
        environment["EXATRKX_COMPUTE_SLOTS"] = variable
    command = [str(program), str(slots), str(quota), str(usable_cores(quota))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert (done.returncode, done.stdout) == (0, "good\n"), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("variable", "slots"), [(None, None), ("3", 3), ("1", 1), ("0", None), ("many", None), ("2.5", None), ("", None)]
)
def test_slots_of_a_process(program: Path, tmp_path: Path, variable: str | None, slots: int | None) -> None:
    """As many as the server says; without its word, one more than the processors that affinity and quota allow."""
    run(program, variable, slots or usable_cores() + 1, tmp_path / "none")


@pytest.mark.parametrize("text", ["150000 100000\n", "50000 100000\n", "max 100000\n", "6400000 100000\n", ""])
def test_processors_within_a_quota(program: Path, tmp_path: Path, text: str) -> None:
    """As the server counts them, so that a container's slots are not those of its host."""
    quota = tmp_path / "cpu.max"
    quota.write_text(text)
    run(program, "1", 1, quota)
