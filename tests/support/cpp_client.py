"""The client in C++, built by the commands of its README; skipped, with the reason, where nothing can build it."""

from __future__ import annotations

import fcntl
import functools
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    import numpy.typing as npt

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = ROOT / "client" / "cpp"
README: Final = (SOURCES / "README.md").read_text(encoding="utf-8")
PROGRAMS: Final = ("cmake", os.environ.get("CXX", "c++"), "protoc", "grpc_cpp_plugin", "pkg-config")
HEADER: Final = "#include <google/protobuf/message.h>\n#include <grpcpp/version_info.h>\n"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


def require_protoc() -> None:
    if shutil.which("protoc") is None:
        pytest.skip("Debian's protobuf-compiler is not installed")


@functools.cache
def build() -> Path:
    """Bring the build up to date. Returns the program `find_tracks`."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if not missing and _run(PROGRAMS[1], "-E", "-xc++", "-", text=HEADER, check=False):
        missing = ["the headers of libgrpc++-dev and libprotobuf-dev"]
    if missing:
        pytest.skip(f"the client in C++ needs {', '.join(missing)}; see client/cpp/README.md")
    folder = ROOT / "build"
    folder.mkdir(exist_ok=True)
    with (folder / "cpp-client.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run of the tests may be building
        for line in blocks("bash")[0].splitlines():
            if line.startswith("cmake"):
                _run(*shlex.split(line))
    return folder / "cpp-client" / "find_tracks"


def write_csv(file: Path, x: npt.ArrayLike, y: npt.ArrayLike, z: npt.ArrayLike, **others: npt.ArrayLike) -> Path:
    """A file of an event, whose numbers are read back as they are. Returns `file`."""
    import numpy as np  # noqa: PLC0415

    rows = np.stack([np.asarray(column, dtype=np.float32) for column in (x, y, z, *others.values())], axis=1)
    np.savetxt(file, rows, delimiter=",", header=",".join(("x", "y", "z", *others)), comments="", fmt="%.9g")
    return file


def find_tracks(*words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The program's end, with these words and, in its environment, `EXATRKX_` and these variables."""
    unset = {name: value for name, value in os.environ.items() if not name.startswith("EXATRKX_")}
    environment = unset | {f"EXATRKX_{name}": value for name, value in variables.items()}
    command = [str(build()), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)


def _run(*command: str, text: str = "", check: bool = True) -> int:
    # Neither optimised nor with debugging symbols: half of the build's time.
    environment = os.environ | {"CMAKE_BUILD_TYPE": "None"}
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=900, check=False, env=environment, cwd=ROOT
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{shlex.join(command)}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done.returncode
