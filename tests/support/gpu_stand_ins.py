"""Stand-ins for the GPU's libraries in a virtual environment, and `serve.py` run by its interpreter."""

from __future__ import annotations

import os
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]

CUPY: Final = """
import contextlib
import numpy

arange = numpy.arange

class cuda:
    Device = contextlib.nullcontext

    class runtime:
        getDeviceCount = staticmethod(lambda: {gpus})
"""
TORCH: Final = """
class cuda:
    device_count = staticmethod(lambda: {gpus})

class ones:
    def __init__(self, size, device):
        if not device.startswith("cuda:") or int(device[5:]) >= {gpus}:
            raise RuntimeError("No CUDA GPUs are available")

    def sum(self):
        return 1
"""
NO_NVRTC: Final = "raise ImportError('libnvrtc.so.12: cannot open shared object file')"


@dataclass(frozen=True)
class Interpreter:
    """A virtual environment with stand-ins for the GPU's libraries, and without this project's package."""

    python: Path
    libraries: Path

    def put(self, **sources: str) -> None:
        for name, source in sources.items():
            (self.libraries / f"{name}.py").write_text(source)

    def environment(self, visible: str) -> dict[str, str]:
        path = os.pathsep.join([str(self.python.parent), os.environ["PATH"]])
        return os.environ | {"PATH": path, "CUDA_VISIBLE_DEVICES": visible}


@pytest.fixture
def interpreter(tmp_path: Path) -> Interpreter:
    venv.create(tmp_path / "venv", symlinks=True)
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    paths = {"base": str(tmp_path / "venv"), "platbase": str(tmp_path / "venv")}
    # Only the folder of what is installed here, so that an editable installation of this project is not found.
    packages = Path(sysconfig.get_path("purelib", vars=paths)) / "here.pth"
    packages.write_text(f"{libraries}\n{sysconfig.get_path('purelib')}\n")
    return Interpreter(tmp_path / "venv" / "bin" / "python3", libraries)


def command(interpreter: Interpreter, *options: str) -> list[str]:
    return [str(interpreter.python), str(ROOT / "deploy" / "serve.py"), "--free-ports", *options]
