"""Track completion as the engine does it on a GPU, by a program that is given event after event."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any, Final

import compiled
import numpy as np
import numpy.typing as npt

from exatrkx.working_point import COMPLETION_CUTS

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from exatrkx.working_point import WorkingPoint

IntArray = npt.NDArray[np.int64]
THREADS: Final = 2
"""Of what the host does beside the kernels."""


class CompletionKernels:
    """The program, from its first event until the end of the context; without a GPU its kernels run on host threads."""

    def __init__(self, gpu: str | None = None) -> None:
        self._name = "track-completion-on-host" if gpu is None else "track-completion"
        self._device = gpu or "cpu"
        self._program: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._program is not None:
            _, complaints = self._program.communicate()
            assert (self._program.returncode, complaints) == (0, "")
            self._program = None

    def __call__(self, features: npt.NDArray[Any], labels: IntArray, cuts: WorkingPoint) -> IntArray:
        """[N] labels, for those of exatrkx.stages.native.complete_tracks."""
        if self._program is None:
            path = str(compiled.build(self._name) / self._name)
            pipe = subprocess.PIPE
            self._program = subprocess.Popen([path, self._device], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        numbers = [repr(float(getattr(cuts, name))) for name in COMPLETION_CUTS]
        # Nine digits read back as the same FP32.
        rows = [" ".join([str(len(labels)), *numbers, f"{cuts.min_track_hits} {THREADS}"])]
        for (r, phi, z), label in zip(features.tolist(), labels.tolist(), strict=True):
            rows.append(f"{r:.9g} {phi:.9g} {z:.9g} {label}")
        self._program.stdin.write("\n".join(rows) + "\n")
        self._program.stdin.flush()
        answer = np.array(self._program.stdout.readline().split(), dtype=np.int64)
        assert len(answer) == len(labels), "the program has ended before its answer"
        return answer
