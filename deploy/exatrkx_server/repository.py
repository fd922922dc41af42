"""Model repository to serve where none is named: the checkout's, else a copy of the installed package's with networks.

The copy lies in the user's cache under a name that its contents give it: another version of the package has another.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exatrkx.project_files import project_files
from exatrkx.working_point import WEIGHTS_DIR
from exatrkx_server.errors import ServerSetupError

if TYPE_CHECKING:
    from exatrkx.project_files import ProjectFiles

EXPORT: Final = ("-m", "exatrkx", "export")


def default_repository() -> Path:
    """The checkout's model repository as it is; else the cached one, which is made where it is missing (needs torch).

    Raises:
        ServerSetupError: the networks could not be exported; what was wrong is on standard error.
        ExatrkxError: the package was installed without its data files.
    """
    project = project_files()
    if project.is_checkout:
        return project.model_repository
    repository = cached_repository(project)
    if not repository.is_dir():
        print(f"exporting the committed networks to {repository}", file=sys.stderr)
        # In a process of its own: what starts a server needs no torch.
        command = [sys.executable, *EXPORT, "--output", str(repository)]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        if done.returncode != 0 and not repository.is_dir():  # another server may have been faster
            raise ServerSetupError(
                "the networks were not exported; --model-repository names a repository that has some"
            )
    return repository


def cached_repository(project: ProjectFiles) -> Path:
    """Where the copy is, or will be; named by what is in it."""
    digest = hashlib.sha256()
    for folder in (project.model_repository, WEIGHTS_DIR):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "exatrkx" / f"model_repository-{digest.hexdigest()[:12]}"
