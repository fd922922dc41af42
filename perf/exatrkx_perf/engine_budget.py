"""Budget of the custom backend on a GPU, counted on a CPU: what its engine starts, waits for and moves, by stage.

The engine itself is run, with its kernels on host threads. Counted are PyTorch's outermost operators that compute or
copy, and kernels; an operator may start several kernels of its own, a sort some ten. A wait is an answer that the host
cannot do without, or a copy from or to it. Bytes are those of the tensors that an operator or a kernel is given and
gives, each once; rows that many threads read again come from the GPU's cache. One more wait, for the end of the event,
is not among them.
"""

from __future__ import annotations

import csv
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from exatrkx.reporting.markdown import markdown_table
from exatrkx_perf import MODEL_REPOSITORY, ROOT
from exatrkx_perf.errors import PerfError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exatrkx_perf.events import FeatureArray

PROGRAM: Final = ROOT / "build" / "custom-backend" / "engine-budget"
STAGES: Final = ("embed", "frnn", "filter", "applyfilter", "gnn", "wcc", "completion")
"""As the engine names them to PyTorch's profiler; `wcc` without track completion."""
_WORKING_POINT: Final = ROOT / "models_src" / "exatrkx" / "weights" / "working_point.json"


@dataclass(frozen=True, slots=True)
class StageBudget:
    """What a stage asks of a GPU.

    Attributes:
        operators: of PyTorch.
        kernels: of this project.
        waits: of the host, for an answer or a copy.
        moved: bytes read and written.
    """

    operators: int = 0
    kernels: int = 0
    waits: int = 0
    moved: int = 0

    @property
    def started(self) -> int:
        """Operators and kernels."""
        return self.operators + self.kernels

    def __add__(self, other: StageBudget) -> StageBudget:
        return StageBudget(
            self.operators + other.operators,
            self.kernels + other.kernels,
            self.waits + other.waits,
            self.moved + other.moved,
        )


def count_engine(
    event: FeatureArray, repository: Path = MODEL_REPOSITORY, program: Path = PROGRAM
) -> dict[str, StageBudget]:
    """The budget of an event, by stage.

    Args:
        event: [N,F] FP32 features.
        repository: whose networks are taken, with the committed working point.
        program: `engine-budget`, which `make gpu-budget` builds.

    Raises:
        PerfError: the program is not there, or fails.
    """
    if not program.is_file():
        raise PerfError(f"{program}: no such program; make gpu-budget builds it")
    files = {kind: repository / kind / "1" / "model.pt" for kind in ("embed", "filter", "gnn")}
    options = [word for kind, file in files.items() for word in (f"--{kind}", str(file))]
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "event.csv"
        np.savetxt(table, event, fmt="%.9g", delimiter=",")
        command = [str(program), *options, "--working-point", str(_WORKING_POINT), "--threads", "1", str(table)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PerfError(f"{program.name}: {done.stderr.strip()}")
    rows = {name: StageBudget(*map(int, numbers)) for name, *numbers in csv.reader(done.stdout.splitlines())}
    return {name: rows[name] for name in STAGES if name in rows}


def budget_report(events: Iterable[FeatureArray]) -> list[str]:
    """The lines of a Markdown text: a table for each event."""
    lines = ["# Budget of the custom backend on a GPU", "", *_EXPLANATION]
    for event in events:
        lines += ["", f"## {len(event):,} spacepoints", "", *_table(count_engine(event))]
    return lines


_EXPLANATION: Final = (
    "Counted by `make gpu-budget` without a GPU, with the kernels on host threads: PyTorch's operators that compute or",
    "copy (a sort starts some ten kernels, others one or two), kernels, waits of the host for an answer or a copy, but",
    "for the one at the end of an event, and megabytes of the tensors that each is given or gives (completion's lists,",
    "a few, are none). Track completion waits for each of its rounds.",
)


def _table(found: Mapping[str, StageBudget]) -> list[str]:
    rows = [
        (name, stage.operators, stage.kernels, stage.waits, f"{stage.moved / 1e6:,.1f}")
        for name, stage in (*found.items(), ("all", sum(found.values(), StageBudget())))
    ]
    return markdown_table(("stage", "operators", "kernels", "waits", "MB"), rows, lined_up=True)
