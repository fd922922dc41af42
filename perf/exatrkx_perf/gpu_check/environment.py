"""A virtual environment for the check: the machine's own PyTorch and CuPy, this project's sources, the bundle's server.

Nothing is installed into the machine's Python: a `.pth` file of the new environment names the directories.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import site
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exatrkx_perf import ROOT
from exatrkx_perf.gpu_check.bundle import PACKAGES, PYTHON_HOME

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCES: Final = ("models_src", "client", "deploy", "perf")


def make_environment(target: Path, unpacked: Path) -> Path:
    """Make it in `target`, in place of an earlier one, and return its Python; the bundle may lack what is installed."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run([_interpreter(unpacked), "-m", "venv", "--without-pip", target], check=True)
    directories = [*(ROOT / name for name in SOURCES), unpacked / PACKAGES, *_own_packages()]
    python = target / "bin" / "python"
    lines = [str(directory) for directory in directories if directory.is_dir()]
    packages = target / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (packages / "exatrkx-check.pth").write_text("\n".join(lines) + "\n")
    program = unpacked / "bin" / "perf_analyzer"
    if program.is_file():
        shutil.copy(program, target / "bin" / program.name)
    return python


def _own_packages() -> Sequence[Path]:
    """Where the packages of the Python that runs this are; PyTorch is one of them."""
    found = [Path(directory) for directory in site.getsitepackages()]
    torch = importlib.util.find_spec("torch")
    if torch is not None and torch.origin is not None:
        found.append(Path(torch.origin).parents[1])
    return list(dict.fromkeys(found))


def _interpreter(unpacked: Path) -> Path:
    """This Python, if it has the shared library that the server's Python models need; else the bundle's."""
    name = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    places = (sysconfig.get_config_var("LIBDIR"), Path(sys.base_prefix) / "lib")
    if any(place and (Path(place) / name).exists() for place in places):
        return Path(sys.executable)
    home = unpacked / PYTHON_HOME
    bundled = home / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    if not bundled.is_file():
        return Path(sys.executable)
    # It was built for another place; inherited by every process that is started from here.
    others = [os.environ["LD_LIBRARY_PATH"]] if os.environ.get("LD_LIBRARY_PATH") else []
    os.environ["LD_LIBRARY_PATH"] = os.pathsep.join([str(home / "lib"), *others])
    return bundled
