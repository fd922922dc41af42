"""Container images with buildah, as root and without a daemon: a base of Debian, and what is built and run on it.

Everything is in one folder, on overlayfs, and nothing of the machine's own images or settings is read. Processes are in
a root directory of their own, and have the network and the process numbers of the machine (`--isolation chroot`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

PROGRAMS: Final = ("buildah", "debootstrap")


def missing() -> str:
    """What images need that is not here; empty where all is."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if os.geteuid():
        absent.append("root")
    return ", ".join(absent)


@dataclass(frozen=True, slots=True)
class Buildah:
    """Images in a folder."""

    folder: Path

    def command(self, *words: str | Path) -> list[str]:
        storage = ["--storage-driver", "overlay", "--root", self.folder / "images", "--runroot", self.folder / "run"]
        return [str(word) for word in ("buildah", *storage, *words)]

    def __call__(self, *words: str | Path) -> str:
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout.strip()

    def import_root(self, root: Path, name: str) -> None:
        """An image of a root directory, which is removed."""
        container = self("from", "scratch")
        self("add", "--quiet", container, root, "/")
        shutil.rmtree(root)
        self("commit", "--quiet", "--rm", container, name)

    def build(self, context: Path, containerfile: Path, name: str, volume: str, **arguments: str) -> None:
        """An image by a Containerfile; `volume` is mounted meanwhile, `arguments` are its build arguments."""
        given = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        files: list[str | Path] = ["--file", containerfile, "--tag", name, context]
        self("build", "--isolation", "chroot", "--layers=false", "--volume", volume, *given, *files)

    def configuration(self, name: str) -> dict[str, Any]:
        """What the image says of how it is run."""
        found: dict[str, Any] = json.loads(self("inspect", "--type", "image", name))["OCIv1"]["config"]
        return found


def debian(folder: Path) -> str:
    """Fill a folder with a minimal Debian 12, from Debian's own archive; the reason where that is out of reach."""
    command = ["debootstrap", "--variant=minbase", "bookworm", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else (done.stdout + done.stderr)[-300:]
