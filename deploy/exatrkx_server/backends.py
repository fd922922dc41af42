"""The backend directory that a server is given: what comes with it, and this project's own."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from exatrkx_server.errors import ServerSetupError

if TYPE_CHECKING:
    from exatrkx_server.installation import TritonInstallation

PROJECT_BACKENDS = Path(__file__).parents[2] / "backends"
"""The project's backends: a directory each, with a `model.py`, a built `libtriton_<name>.so`, or both."""

Preference = Literal["auto", "compiled", "python"]
"""Which of two implementations of a backend to serve: the compiled one where it is built, or a certain one."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One backend as it will be served."""

    name: str
    implementation: Literal["bundled", "compiled", "python"]
    """Part of the server's installation, this project's shared library, or this project's `model.py`."""
    path: Path
    """Its directory, or its `model.py`."""

    @property
    def runs_python(self) -> bool:
        return self.name == "python" or self.implementation == "python"

    def __str__(self) -> str:
        return f"{self.name} ({self.implementation})"


def assemble(target: Path, installation: TritonInstallation, custom: Preference = "auto") -> list[Backend]:
    """Fill the empty directory `target` with every backend, and say which implementation each one is.

    A backend that the server brings is preferred to the project's stand-in of the same name.

    Args:
        target: an existing, empty directory.
        installation: the server.
        custom: which implementation of the project's backends to take.

    Raises:
        ServerSetupError: `custom` is "compiled" and one that is taken of the project's is not built.
    """
    chosen = [Backend(name, "bundled", path) for name, path in installation.backends.items()]
    chosen += [
        _choose(directory, custom)
        for directory in sorted(PROJECT_BACKENDS.iterdir())
        if directory.is_dir() and directory.name not in installation.backends
    ]
    for backend in chosen:
        # The Python backend looks for its stub beside itself.
        extend = backend.name == "python" and installation.python_stub is not None
        _place(backend, target / backend.name, add_files=extend)
    if installation.python_stub is not None:
        shutil.copy(installation.python_stub, target / "python")
    return chosen


def _choose(directory: Path, preference: Preference) -> Backend:
    name, model = directory.name, directory / "model.py"
    library = next(iter(sorted(directory.glob(f"**/libtriton_{name}.so"))), None)
    if preference == "compiled" and library is None:
        raise ServerSetupError(f"{directory}: libtriton_{name}.so is not built; make custom-backend builds it")
    if library is not None and (preference != "python" or not model.is_file()):
        return Backend(name, "compiled", library.parent)
    if not model.is_file():
        raise ServerSetupError(f"{directory}: neither model.py nor libtriton_{name}.so is there")
    return Backend(name, "python", model)


def _place(backend: Backend, target: Path, *, add_files: bool) -> None:
    # Triton refuses a library that is itself a link out of its directory; a link to the directory is fine.
    if backend.path.is_dir() and not add_files:
        target.symlink_to(backend.path.resolve())
        return
    target.mkdir()
    files = [file for file in backend.path.iterdir() if file.is_file()] if backend.path.is_dir() else [backend.path]
    for file in files:
        shutil.copy(file, target)
