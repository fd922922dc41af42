"""The perf_analyzer program of a Python environment: where it is, the libraries that it lacks, and its launcher.

`tritonclient` 2.50.0 brings the program but not libb64 and libcudart, which it is linked to; `nvidia-pytriton` has
both, under names of its own. Links with the right names, in a directory of their own, make it run.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from exatrkx.files import whole_file
from exatrkx_perf import EVENTS
from exatrkx_perf.errors import ToolMissingError
from exatrkx_perf.events import read_sample, write_input_file

PROGRAM: Final = "perf_analyzer"
LIBRARIES: Final[dict[str, str]] = {"libb64.so.0d": "libb64-*.so.0d", "libcudart.so.12": "libcudart-*.so.12*"}
"""What the program asks for, and how the wheel calls it."""

_WHEEL_LIBRARIES: Final = "nvidia_pytriton.libs"
_ELF: Final = b"\x7fELF"
_PACKAGES: Final = Path(__file__).resolve().parents[1]
_SCRIPT: Final = """\
#!/bin/sh
# perf_analyzer of tritonclient with the libraries that it needs; made by perf/install_perf_analyzer.py, which also
# makes it again. What it adds to the command line: exatrkx_perf/launcher.py.
LD_LIBRARY_PATH={libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}
PYTHONPATH={packages}${{PYTHONPATH:+:$PYTHONPATH}}
export LD_LIBRARY_PATH PYTHONPATH
exec {python} -P -m exatrkx_perf.launcher {program} {events} "$@"
"""


def find_program(prefix: Path = Path(sys.prefix)) -> Path:
    """The program itself: behind this environment's launcher, in this environment, or on PATH.

    Raises:
        ToolMissingError: it is nowhere.
    """
    for candidate in (installed_program(prefix), prefix / "bin" / PROGRAM):
        if candidate.is_file() and is_elf(candidate):
            return candidate
    on_path = shutil.which(PROGRAM)
    if on_path is not None:
        return Path(on_path)
    raise ToolMissingError(
        f"no {PROGRAM} in {prefix} or on PATH: pip install 'tritonclient[grpc,http]==2.50.0', the newest release that "
        "carries it for glibc 2.35, or use NVIDIA's SDK container"
    )


def installed_program(prefix: Path) -> Path:
    """Where the launcher keeps the program of an environment."""
    return prefix / "libexec" / PROGRAM


def is_elf(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(_ELF)) == _ELF


def link_libraries(directory: Path, search_path: list[str] | None = None) -> bool:
    """Make links to the libraries in `directory`; False where the wheel that has them is not installed.

    Args:
        directory: made where it is missing; links that are there and lead nowhere are replaced.
        search_path: where installed packages are; `sys.path` unless given.
    """
    packages = (Path(entry) / _WHEEL_LIBRARIES for entry in search_path or sys.path)
    source = next((package for package in packages if package.is_dir()), None)
    if source is None:
        return False
    directory.mkdir(parents=True, exist_ok=True)
    for name, pattern in LIBRARIES.items():
        library = next(iter(sorted(source.glob(pattern))), None)
        if library is None:
            return False
        _link(directory / name, library)
    return True


def program_environment() -> dict[str, str]:
    """The environment in which the program finds its libraries: `LD_LIBRARY_PATH` with the links in front.

    Where the wheel is not installed the libraries are taken to be the system's, as in NVIDIA's SDK container.
    """
    directory = cache_directory()
    environment = dict(os.environ)
    if link_libraries(directory):
        others = [environment["LD_LIBRARY_PATH"]] if environment.get("LD_LIBRARY_PATH") else []
        environment["LD_LIBRARY_PATH"] = os.pathsep.join([str(directory), *others])
    return environment


def cache_directory() -> Path:
    """Where the links are: within the Python environment where that can be written to, else in the user's cache."""
    prefix = Path(sys.prefix)
    if sys.prefix != sys.base_prefix and os.access(prefix, os.W_OK):
        return prefix / "libexec" / f"{PROGRAM}-libraries"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "exatrkx" / f"{PROGRAM}-libraries"


def check_program(program: Path) -> None:
    """Start the program once.

    Raises:
        ToolMissingError: it does not start on this machine; the text says why.
    """
    done = subprocess.run(
        [program, "--version"], env=program_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ToolMissingError(
            f"{program} does not start: {done.stderr.strip()}\nnvidia-pytriton 0.7.0 has the libraries "
            "(exatrkx install-server), and the program needs glibc 2.34 or newer"
        )


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.resolve() == target.resolve():
        return
    # Made beside it and renamed, because another measurement may be reading the directory.
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target.resolve())
    fresh.replace(link)


def install_launcher(prefix: Path = Path(sys.prefix)) -> Path:
    """Put the launcher into an environment's `bin`; again where a newly installed wheel has replaced it.

    Returns:
        The launcher's path.

    Raises:
        ToolMissingError: the environment has no perf_analyzer, or nothing that has its libraries.
    """
    launcher, program = prefix / "bin" / PROGRAM, installed_program(prefix)
    program.parent.mkdir(parents=True, exist_ok=True)
    if launcher.is_file() and is_elf(launcher):
        launcher.replace(program)
    if not program.is_file():
        raise ToolMissingError(f"no {PROGRAM} in {prefix}: pip install 'tritonclient[grpc,http]==2.50.0'")
    libraries = program.with_name(f"{PROGRAM}-libraries")
    if not link_libraries(libraries):
        raise ToolMissingError(f"nothing has the libraries of {PROGRAM}: pip install nvidia-pytriton==0.7.0")
    events = prefix / "share" / "exatrkx" / "events.json"
    write_input_file(read_sample([EVENTS]), events)
    paths = {"program": program, "libraries": libraries, "events": events, "packages": _PACKAGES}
    words = {name: shlex.quote(str(path)) for name, path in paths.items()} | {"python": shlex.quote(sys.executable)}
    with whole_file(launcher) as file:
        file.write(_SCRIPT.format_map(words).encode())
        os.fchmod(file.fileno(), 0o755)
    return launcher
