"""A copy of a model repository in which some files can be others: folders of its own, files as links."""

from __future__ import annotations

import shutil
from pathlib import Path


def linked_copy(repository: Path, target: Path) -> None:
    """Copy a model repository; each file of the copy is a link to the original.

    What is written anew in `repository` is found through the links; files that are added to it later are not.

    Args:
        repository: an existing directory.
        target: a directory that does not exist yet.
    """
    shutil.copytree(repository, target, copy_function=_link, ignore=shutil.ignore_patterns("__pycache__"))


def replace_link(path: Path, text: str) -> None:
    """Put a file with this text in the place of a link; the original stays as it is."""
    path.unlink()
    path.write_text(text)


def _link(source: str, target: str) -> None:
    Path(target).symlink_to(Path(source).resolve())
