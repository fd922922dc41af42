"""A model repository whose stages between the networks are served by this project's compiled backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exatrkx.contract import CUSTOM, STAGES
from exatrkx.errors import ContractError
from exatrkx.serving.model_config import with_backend
from exatrkx_server.errors import ServerSetupError
from exatrkx_server.linked_copy import linked_copy, replace_link

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from exatrkx_server.backends import Backend

BACKEND = "exatrkx"
"""The backend that has the stages too, where it is compiled; in the repository it serves `exatrkx_custom`."""


def can_compile_stages(backends: Iterable[Backend]) -> bool:
    """Whether the compiled backend is one of those that will be served."""
    return any(backend.name == BACKEND and backend.implementation == "compiled" for backend in backends)


def compile_stages(repository: Path, target: Path, backends: Iterable[Backend]) -> None:
    """Make a `linked_copy` of a model repository, with another backend for each stage that it has.

    Args:
        repository: an existing directory.
        target: a directory that does not exist yet.
        backends: those that will be served.

    Raises:
        ServerSetupError: the backend is not compiled, or a stage's configuration names no backend.
    """
    if not can_compile_stages(backends):
        raise ServerSetupError(
            f"compiled stages: libtriton_{BACKEND}.so, which serves {CUSTOM.name} too, is not built or not wanted; "
            "make custom-backend builds it"
        )
    linked_copy(repository, target)
    for stage in STAGES:
        path = target / stage.name / "config.pbtxt"
        if path.is_file():
            try:
                text = with_backend(path.read_text(), BACKEND, path.resolve())
            except ContractError as error:
                raise ServerSetupError(str(error)) from error
            replace_link(path, text)
