"""Data files of the project, in a checkout or in the package: model repository, backends' sources, bundled events."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exatrkx.commands import command_parser, run_command
from exatrkx.errors import ExatrkxError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PACKAGE: Final = Path(__file__).resolve().parent
_FOLDERS: Final = ("backends", "model_repository", "data/events")
"""Below the root of a checkout, and below `exatrkx/share` in an installed package: setup.py copies them there."""


@dataclass(frozen=True, slots=True)
class ProjectFiles:
    """Where the files of this project lie that are no Python modules.

    Attributes:
        backends: a directory for each backend, with a `model.py`, a built `libtriton_<name>.so`, or both.
        model_repository: the models; in an installed package without the networks, which `exatrkx export` writes.
        package: the Python package `exatrkx`, which the Python models import.
        events: the bundled events.
        is_checkout: whether they are those of a checkout of the repository, which commands write to.
    """

    backends: Path
    model_repository: Path
    package: Path
    events: Path = Path()
    is_checkout: bool = True


def project_files(package: Path = _PACKAGE) -> ProjectFiles:
    """The checkout's files where the package lies in one, else those that were installed with it.

    Args:
        package: the directory of the package `exatrkx`.

    Raises:
        ExatrkxError: neither are there.
    """
    for root in (package.parents[1], package / "share"):
        backends, repository, events = (root / folder for folder in _FOLDERS)
        if backends.is_dir() and repository.is_dir():
            return ProjectFiles(backends, repository, package, events, is_checkout=root != package / "share")
    raise ExatrkxError(
        f"{package / 'share'}: not found, and {package.parents[1]} is no checkout; exatrkx was installed without the "
        "project's backends and models: use a checkout of the repository, or install its wheel"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `exatrkx events`; returns the exit code."""
    return run_command("events", lambda: print_events(arguments))


def print_events(arguments: Sequence[str] | None) -> None:
    """Do what the command line asks for.

    Raises:
        ExatrkxError: the package was installed without them.
    """
    description = "Print the folder of the bundled events: simulated tt̄ with truth."
    command_parser("events", description, "exatrkx events").parse_args(arguments)
    print(project_files().events)
