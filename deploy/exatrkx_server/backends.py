"""Backends and model repository as a server is given them: which implementation of each backend serves which models."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from exatrkx.contract import CUSTOM, STAGES
from exatrkx.errors import ContractError
from exatrkx.project_files import project_files
from exatrkx.serving.model_config import with_backend
from exatrkx_server.errors import ServerSetupError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exatrkx_server.installation import TritonInstallation
    from exatrkx_server.options import Preference

COMPILED_STAGES: Final = "exatrkx"
"""The backend that has the stages too, where it is compiled; in the repository it serves `exatrkx_custom`."""


_BACKEND: Final = re.compile(r'^\s*backend\s*:\s*"([^"]*)"', re.MULTILINE)
_FOR_A_SHELL: Final = re.compile(r"[^\w@%+=:,./-]", re.ASCII)
_STEP: Final = re.compile(r'\bmodel_name\s*:\s*"([^"]*)"')


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

    Raises:
        ServerSetupError: `custom` is "compiled" and one that is taken of the project's is not built.
    """
    project = project_files()
    chosen = [Backend(name, "bundled", path) for name, path in installation.backends.items()]
    chosen += [
        _choose(directory, custom)
        for directory in sorted(project.backends.iterdir())
        if directory.is_dir() and directory.name not in installation.backends
    ]
    for backend in chosen:
        _place(backend, target / backend.name, copied=backend.name == "python")
    # The Python backend looks for its stub beside itself, and a Python model for what it imports: after its
    # environment's own packages in the backend's directory, and in no PYTHONPATH, because the stub is isolated.
    if installation.python_stub is not None:
        shutil.copy(installation.python_stub, target / "python")
    (target / "python" / project.package.name).symlink_to(project.package)
    return chosen


def _choose(directory: Path, preference: Preference) -> Backend:
    name, model = directory.name, directory / "model.py"
    library = next(iter(sorted(directory.glob(f"**/libtriton_{name}.so"))), None)
    if preference == "compiled" and library is None:
        raise ServerSetupError(
            f"{directory}: libtriton_{name}.so is not built; make custom-backend builds it in a checkout"
        )
    if library is not None and (preference != "python" or not model.is_file()):
        return Backend(name, "compiled", library.parent)
    if not model.is_file():
        raise ServerSetupError(f"{directory}: neither model.py nor libtriton_{name}.so is there")
    return Backend(name, "python", model)


def _place(backend: Backend, target: Path, *, copied: bool) -> None:
    if not backend.path.is_dir():
        target.mkdir()
        shutil.copy(backend.path, target)
    elif copied:
        shutil.copytree(backend.path, target)
    else:  # Triton refuses a library that is itself a link out of its directory; a link to the directory is fine
        target.symlink_to(backend.path.resolve())


def gpu_libraries(repository: Path, models: Iterable[str], backends: Iterable[Backend]) -> list[str]:
    """Python libraries that these models, or all, need where they are placed on a GPU: none where all is compiled."""
    used = models_backends(repository, models).values()
    in_python = [backend for backend in backends if backend.runs_python and backend.name in used]
    networks = any(backend.implementation == "python" for backend in in_python)
    return ["cupy"] * bool(in_python) + ["torch"] * networks


def models_backends(repository: Path, models: Iterable[str] = ()) -> dict[str, str]:
    """The backend of each model that is loaded with these, an ensemble's steps too; of all models where none is named.

    An ensemble itself has no backend.
    """
    configurations = {path.parent.name: path.read_text() for path in sorted(repository.glob("*/config.pbtxt"))}
    loaded = list(models) or list(configurations)
    for name in loaded:  # grows on the way
        loaded += [step for step in _STEP.findall(configurations.get(name, "")) if step not in loaded]
    found = ((name, _BACKEND.search(configurations.get(name, ""))) for name in loaded)
    return {name: backend[1] for name, backend in found if backend}


def can_compile_stages(backends: Iterable[Backend]) -> bool:
    """Whether the compiled backend is one of those that will be served."""
    return any(backend.name == COMPILED_STAGES and backend.implementation == "compiled" for backend in backends)


def compile_stages(repository: Path, target: Path, backends: Iterable[Backend]) -> None:
    """Make a `linked_copy` of a model repository, with another backend for each stage that it has.

    Raises:
        ServerSetupError: the backend is not compiled, or a stage's configuration names no backend.
    """
    if not can_compile_stages(backends):
        raise ServerSetupError(
            f"compiled stages: libtriton_{COMPILED_STAGES}.so, which serves {CUSTOM.name} too, is not built or not "
            "wanted; make custom-backend builds it in a checkout"
        )
    linked_copy(repository, target)
    for stage in STAGES:
        path = target / stage.name / "config.pbtxt"
        if path.is_file():
            try:
                text = with_backend(path.read_text(), COMPILED_STAGES, path.resolve())
            except ContractError as error:
                raise ServerSetupError(str(error)) from error
            replace_link(path, text)


def shell_safe(repository: Path, link: Path) -> Path:
    """A path of the repository that a shell leaves as it is: its own, or that of a link, which is made.

    Triton's Python backend starts its processes by a line for a shell, without quotes, in a locale that knows ASCII.

    Raises:
        ServerSetupError: neither the folder of temporary files nor the name of a model is such a path.
    """
    for name in (str(link), *(folder.name for folder in repository.iterdir() if folder.is_dir())):
        if _FOR_A_SHELL.search(name):
            raise ServerSetupError(
                f"{name!r}: Triton's Python models need names of folders without blanks, quotes, letters beyond ASCII "
                f"and what a shell reads{', see TMPDIR' if name == str(link) else ''}"
            )
    if not _FOR_A_SHELL.search(str(repository.resolve())):
        return repository
    link.symlink_to(repository.resolve())
    return link


def linked_copy(repository: Path, target: Path) -> None:
    """Copy a model repository to a new directory; each file of the copy is a link to the original.

    What is written anew in `repository` is found through the links; files that are added to it later are not.
    """
    shutil.copytree(repository, target, copy_function=_link, ignore=shutil.ignore_patterns("__pycache__"))


def replace_link(path: Path, text: str) -> None:
    """Put a file with this text in the place of a link; the original stays as it is."""
    path.unlink()
    path.write_text(text)


def _link(source: str, target: str) -> None:
    Path(target).symlink_to(Path(source).resolve())
