"""Installation of the Triton server: where it lies on this machine, and what it needs."""

from __future__ import annotations

import importlib.util
import os
import platform
import shlex
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exatrkx_server.errors import ServerSetupError

WHEEL: Final = "nvidia-pytriton==0.7.0"
INSTALL_COMMAND: Final = ("pip", "install", "--no-deps", WHEEL)
"""Without what it depends on, NumPy 1 among it: of this wheel the server is used, not its Python."""
_WHEEL_GLIBC: Final = (2, 35)


@dataclass(frozen=True, slots=True)
class TritonInstallation:
    """One Triton server.

    Attributes:
        binary: the `tritonserver` program.
        backends: directory of each backend that comes with it, by name.
        python_stub: the program that runs a Python model, where it does not lie beside its backend.
        library_path: directories that the dynamic linker must search, besides its own.
        source: what to call it, for a person.
    """

    binary: Path
    backends: dict[str, Path]
    python_stub: Path | None
    library_path: tuple[Path, ...]
    source: str


def find_triton() -> TritonInstallation:
    """The server on PATH, as in NVIDIA's container; else the one in the wheel.

    Raises:
        ServerSetupError: neither is there, or the wheel's cannot run here.
    """
    on_path = shutil.which("tritonserver")
    return _in_container(Path(on_path)) if on_path else _in_wheel()


def _in_container(binary: Path) -> TritonInstallation:
    directory = binary.resolve().parent.parent / "backends"
    backends = {entry.name: entry for entry in sorted(directory.glob("*")) if entry.is_dir()}
    if "python" not in backends:
        raise ServerSetupError(f"{binary}: no Python backend in {directory}; use a container that has one")
    return TritonInstallation(binary, backends, None, (), f"tritonserver on PATH ({binary})")


def _in_wheel() -> TritonInstallation:
    _check_glibc()
    package = _wheel_directory()
    server = package / "tritonserver"
    return TritonInstallation(
        binary=server / "bin" / "tritonserver",
        backends={"python": server / "backends" / "python"},
        python_stub=_python_stub(server / "python_backend_stubs"),
        library_path=(_libpython().parent, package.parent / "nvidia_pytriton.libs"),
        source=f"the wheel {WHEEL.replace('==', ' ')}",
    )


def _wheel_directory() -> Path:
    # Found, not imported: the import reads signatures and starts nothing that is needed here, but takes a second.
    spec = importlib.util.find_spec("pytriton")
    if spec is None or not spec.submodule_search_locations:
        raise ServerSetupError(
            f"no Triton server: there is no tritonserver on PATH and {WHEEL} is not installed in {sys.prefix}; "
            f"exatrkx install-server installs it ({shlex.join(INSTALL_COMMAND)}), or use NVIDIA's container"
        )
    return Path(spec.submodule_search_locations[0])


def _check_glibc() -> None:
    name, version = platform.libc_ver()
    found = tuple(int(part) for part in version.split(".") if part.isdigit())
    if platform.machine() != "x86_64" or name != "glibc" or found < _WHEEL_GLIBC:
        raise ServerSetupError(
            f"the server of {WHEEL} needs x86-64 Linux with glibc {'.'.join(map(str, _WHEEL_GLIBC))} or newer, found "
            f"{platform.machine()} with {name or 'no glibc'} {version}; use a newer distribution or NVIDIA's container"
        )


def _python_stub(stubs: Path) -> Path:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = stubs / version / "triton_python_backend_stub"
    if not os.access(stub, os.X_OK):
        known = ", ".join(sorted((entry.name for entry in stubs.glob("*")), key=lambda v: int(v.partition(".")[2])))
        raise ServerSetupError(f"{WHEEL} cannot run Python {version} models; it can run {known or 'none'}")
    return stub


def _libpython() -> Path:
    """The shared library of the running Python, which the stub loads.

    Raises:
        ServerSetupError: this Python was built without one.
    """
    name = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    variables = (sysconfig.get_config_var("LIBDIR"), Path(sys.base_prefix) / "lib")
    for directory in (Path(value) for value in variables if value):
        if (directory / name).exists():
            return directory / name
    short = name.removesuffix(".so.1.0")
    raise ServerSetupError(
        f"{sys.executable} has no shared library {name}, which the server's Python models need. Install it "
        f"(Debian, Ubuntu: apt install {short}; pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install …; conda's "
        "and uv's Pythons have it) and make the virtual environment again"
    )
