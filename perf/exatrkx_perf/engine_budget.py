"""Budget of the custom backend on a GPU, counted on a CPU: what its engine starts, waits for and moves, by stage.

The engine itself is run, with its kernels on host threads. Counted are PyTorch's outermost operators that compute or
copy, and kernels; an operator may start several kernels of its own, a sort some ten. A wait is an answer that the host
cannot do without, or a copy from or to it. Bytes are those of the tensors that an operator or a kernel is given and
gives, each once; rows that many threads read again come from the GPU's cache. One more wait, for the end of the event,
is not among them.
"""

from __future__ import annotations

import csv
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np

from exatrkx.reporting.markdown import markdown_table
from exatrkx_perf import MODEL_REPOSITORY, ROOT
from exatrkx_perf.errors import PerfError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exatrkx_perf.events import FeatureArray

Networks = Literal["kernels", "torchscript"]

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
    event: FeatureArray, networks: Networks = "kernels", repository: Path = MODEL_REPOSITORY, program: Path = PROGRAM
) -> dict[str, StageBudget]:
    """The budget of an event, by stage.

    Args:
        event: [N,F] FP32 features.
        networks: as they run: as kernels where there are some for them, or as TorchScript.
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
        environment = os.environ | {"EXATRKX_NETWORKS": networks}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise PerfError(f"{program.name}: {done.stderr.strip()}")
    rows = {name: StageBudget(*map(int, numbers)) for name, *numbers in csv.reader(done.stdout.splitlines())}
    return {name: rows[name] for name in STAGES if name in rows}


def budget_report(events: Iterable[FeatureArray]) -> list[str]:
    """The lines of a Markdown text: a table for each event, with the networks in both forms."""
    lines = ["# Budget of the custom backend on a GPU", "", *_EXPLANATION, ""]
    for event in events:
        found = {networks: count_engine(event, networks) for networks in get_args(Networks)}
        lines += [f"## {len(event):,} spacepoints", "", *_table(found), ""]
    return lines[:-1]


_EXPLANATION: Final = (
    "Counted by `make gpu-budget` without a GPU, with the kernels on host threads: PyTorch's operators that compute or",
    "copy (a sort starts some ten kernels, others one or two), kernels, waits of the host for an answer or a copy, but",
    "for the one at the end of an event, and megabytes of the tensors that each is given or gives (completion's lists,",
    "a few, are none). Track completion waits for each of its rounds. In front of a slash the networks are kernels,",
    "behind it TorchScript.",
)


def _table(found: Mapping[Networks, Mapping[str, StageBudget]]) -> list[str]:
    both = [[*stages.items(), ("all", sum(stages.values(), StageBudget()))] for stages in found.values()]
    rows = []
    for pairs in zip(*both, strict=True):
        (name, _), stages = pairs[0], [stage for _, stage in pairs]
        counts = [
            [f"{count:,}" for count in (stage.operators, stage.kernels, stage.waits)] + [f"{stage.moved / 1e6:,.1f}"]
            for stage in stages
        ]
        rows.append((name, *(" / ".join(dict.fromkeys(column)) for column in zip(*counts, strict=True))))
    return markdown_table(("stage", "operators", "kernels", "waits", "MB"), rows, lined_up=True)
