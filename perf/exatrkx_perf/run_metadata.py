"""Run metadata: the machine, the versions, the state of the source and the events of a measurement."""

from __future__ import annotations

import json
import platform
import re
import subprocess
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from exatrkx.files import write_files
from exatrkx.reporting.git import git
from exatrkx_perf import ROOT
from exatrkx_perf.usage import gpu_names
from exatrkx_server.resources import usable_cores

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from exatrkx_perf.events import EventSample

PACKAGES: Final = (
    "torch",
    "torch-geometric",
    "numpy",
    "scipy",
    "scikit-learn",
    "faiss-cpu",
    "tritonclient",
    "nvidia-pytriton",
)
_GIB: Final = 1 << 30
_NOT_SOURCE: Final = ("out", "perf/baseline")


@dataclass(frozen=True, slots=True)
class Machine:
    """One computer and what is installed on it. No name, no address: results are published."""

    processor: str
    cores: int
    memory_gib: float
    gpus: tuple[str, ...]
    system: str
    python: str
    packages: dict[str, str]

    def __str__(self) -> str:
        gpus = "".join(f", {gpu}" for gpu in self.gpus)
        return f"{self.processor}, {self.cores} cores, {self.memory_gib:.0f} GiB{gpus}"

    def save(self, path: Path) -> None:
        text = json.dumps({"machine": str(self), **asdict(self)}, indent=2, ensure_ascii=False)
        write_files({path: f"{text}\n".encode()})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMetadata:
    """Columns of a result that say on what it was measured: the events, the machine, the server, the source, when."""

    events: int
    spacepoints_mean: float
    spacepoints_min: int
    spacepoints_max: int
    machine: str
    server: str
    commit: str
    began: str

    @classmethod
    def of(cls, sample: EventSample, server: str, began: datetime) -> RunMetadata:
        """The metadata of a measurement on this machine; `server` is empty without one."""
        sizes = sample.spacepoints
        return cls(
            events=len(sample),
            spacepoints_mean=float(sizes.mean()),
            spacepoints_min=int(sizes.min()),
            spacepoints_max=int(sizes.max()),
            machine=str(this_machine()),
            server=server,
            commit=commit(),
            began=began.isoformat(timespec="seconds"),
        )


def this_machine() -> Machine:
    return Machine(
        processor=_processor(),
        cores=usable_cores(),
        memory_gib=round(psutil.virtual_memory().total / _GIB, 1),
        gpus=tuple(gpu_names()),
        system=f"{platform.system()} {platform.release()}, {' '.join(platform.libc_ver())}",
        python=platform.python_version(),
        packages={name: version for name in PACKAGES if (version := _version(name))},
    )


def environment() -> dict[str, str]:
    """Columns of a stage's row that say where and with what it was measured: machine, versions, commit."""
    machine = this_machine()
    versions = {"Python": machine.python, **machine.packages}
    return {
        "machine": str(machine),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "commit": commit(),
    }


def commit(root: Path = ROOT, ignore: Sequence[str] = _NOT_SOURCE) -> str:
    """The source's commit, with `+` where tracked files have been changed; "unknown" outside of a clone."""
    if not (root / ".git").exists():  # not that of a clone which an installed package may lie in
        return "unknown"
    try:
        name = git(root, "rev-parse", "--short=10", "HEAD")
        changed = git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *(f":!{p}" for p in ignore))
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name + ("+" if changed else "")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    """The processor's name, from Linux where that is what this is."""
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        match = None
    return match[1].strip() if match else platform.processor() or platform.machine()
