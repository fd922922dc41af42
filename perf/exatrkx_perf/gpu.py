"""What the NVIDIA GPUs of the machine do, by nvidia-smi; nothing where there is none."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from typing import IO, Final

_QUERY: Final = "index,utilization.gpu,memory.used"
_INTERVAL_MS: Final = 200
_STOP_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class GpuUse:
    """What all GPUs did over a time.

    Attributes:
        busy: mean fraction of the time in which a kernel ran, over the GPUs that were used at all.
        memory_mib: largest memory in use, all GPUs together; other programs' too.
    """

    busy: float
    memory_mib: float


class GpuMonitor:
    """Samples every GPU from `start` to `stop`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None

    def start(self) -> None:
        """Begin; does nothing where there is no nvidia-smi."""
        program = shutil.which("nvidia-smi")
        if program is not None:
            command = [program, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits", f"--loop-ms={_INTERVAL_MS}"]
            # Not a pipe: one that nobody reads would fill up and stop it.
            self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `stop`
            self._process = subprocess.Popen(command, stdout=self._output, stderr=subprocess.DEVNULL)

    def stop(self) -> GpuUse | None:
        """What was seen since `start`; None where nothing was."""
        if self._process is None or self._output is None:
            return None
        self._process.terminate()
        try:
            self._process.wait(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        with self._output as output:
            output.seek(0)
            return parse_samples(output.read().decode(errors="replace"))


def parse_samples(output: str) -> GpuUse | None:
    """Read nvidia-smi's lines of `index, percent, MiB`; lines that are none of these are left out."""
    busy: dict[int, list[float]] = {}
    memory: dict[int, float] = {}
    for line in output.splitlines():
        try:
            index, percent, used = (float(field) for field in line.split(","))
        except ValueError:  # a partial last line, or "[N/A]"
            continue
        busy.setdefault(int(index), []).append(percent / 100.0)
        memory[int(index)] = max(memory.get(int(index), 0.0), used)
    if not busy:
        return None
    means = [sum(values) / len(values) for values in busy.values()]
    used_at_all = [mean for mean in means if mean > 0.0]
    return GpuUse(sum(used_at_all) / len(used_at_all) if used_at_all else 0.0, sum(memory.values()))


def gpu_names() -> list[str]:
    """The GPUs of this machine, as nvidia-smi calls them."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    done = subprocess.run(
        [program, "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, check=False
    )
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []
