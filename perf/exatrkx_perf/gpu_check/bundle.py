"""The bundle for a machine without a package registry: the Triton server, its client, perf_analyzer, an event.

It holds what a machine with a GPU, PyTorch and CuPy lacks, and no more: the server's wheel without the runners of
other Pythons, and, for a Python that has no shared library, a Python that has one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

from exatrkx.files import whole_file
from exatrkx_perf.errors import PerfError
from exatrkx_perf.installation import find_program

ARCHIVE: Final = "packages.tar.xz"
PYTHON_ARCHIVE: Final = "python.tar.xz"
PILE_UP_EVENTS: Final = "mu200.parquet"
PACKAGES: Final = "site-packages"
PYTHON_HOME: Final = "python"
_CLIENT: Final = (
    *("tritonclient==2.73.0", "python-rapidjson==1.25", "protobuf==7.36.2", "grpcio==1.85.3"),
    *("geventhttpclient", "gevent", "greenlet", "zope.event", "zope.interface", "brotli", "certifi"),
)
_SERVER: Final = ("pytriton", "nvidia_pytriton.libs")
_UNUSED: Final = (
    *("__pycache__", "share", "include", "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip"),
    *("site-packages", "lib2to3", "pydoc_data"),
)


def pack(target: Path, python_version: str, pile_up_events: Path | None, python_home: Path | None) -> list[Path]:
    """Write the bundle for a machine with Python `python_version` ("3.12") into the directory `target`.

    Args:
        target: made where it is missing.
        python_version: of the machine with the GPU.
        pile_up_events: events at high pile-up, Parquet.
        python_home: an installation of that Python with a shared library, for a machine whose own has none.

    Raises:
        PerfError: the server's wheel or perf_analyzer is not installed here, or pip does not find the client's wheels.
    """
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="exatrkx-bundle-") as scratch:
        site = Path(scratch)
        _download_client(site, python_version)
        with whole_file(target / ARCHIVE) as file, tarfile.open(fileobj=file, mode="w:xz") as archive:
            for name in _SERVER:
                archive.add(_installed(name), f"{PACKAGES}/{name}", filter=partial(_without_unused, python_version))
            for path in sorted(site.iterdir()):
                archive.add(path, f"{PACKAGES}/{path.name}")
            program = shutil.copy(find_program(), site / "perf_analyzer")
            subprocess.run(["strip", program], check=False)  # where there is one: a quarter less to carry
            archive.add(program, "bin/perf_analyzer")
    if python_home is not None:
        with whole_file(target / PYTHON_ARCHIVE) as file, tarfile.open(fileobj=file, mode="w:xz") as archive:
            archive.add(python_home, PYTHON_HOME, filter=_python_filter)
    if pile_up_events is not None:
        with pile_up_events.open("rb") as events, whole_file(target / PILE_UP_EVENTS) as file:
            shutil.copyfileobj(events, file)
    return sorted(target.iterdir())


def unpack(bundle: Path, target: Path) -> None:
    """Unpack the bundle's archives into `target`, which must not hold those of another bundle."""
    for name in (ARCHIVE, PYTHON_ARCHIVE):
        if (bundle / name).is_file():
            with tarfile.open(bundle / name) as archive:
                archive.extraction_filter = getattr(tarfile, "tar_filter", None)  # not in Debian's Python 3.11.2
                archive.extractall(target)  # noqa: S202 - our own bundle, and filtered where Python can


def _download_client(site: Path, python_version: str) -> None:
    tags = [f"--platform={tag}" for tag in ("manylinux_2_28_x86_64", "manylinux_2_24_x86_64", "manylinux2014_x86_64")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--target", str(site), "--python-version", python_version, "--implementation", "cp", *tags]
    if subprocess.run([*command, *_CLIENT], check=False).returncode != 0:
        raise PerfError("pip does not find the client's wheels; it has said why")


def _installed(name: str) -> Path:
    for entry in sys.path:
        if (Path(entry) / name).is_dir():
            return Path(entry) / name
    raise PerfError(f"{name} is not installed in {sys.prefix}: exatrkx install-server")


def _without_unused(python_version: str, entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """A file of the server's wheel, unless it is one of another Python's."""
    path = Path(entry.name)
    other_python = path.parent.name == "python_backend_stubs" and path.name != python_version
    return None if other_python or path.name == "__pycache__" or path.name.startswith("libpython3") else entry


def _python_filter(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    name = Path(entry.name).name
    return None if name in _UNUSED or name.endswith(".a") or name.startswith(("_test", "config-")) else entry
