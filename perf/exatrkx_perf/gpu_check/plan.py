"""Which phases the check has, in their order: what may end a GPU's context comes last."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

from exatrkx.contract import CUSTOM, ENSEMBLE
from exatrkx_perf import MODEL_REPOSITORY, ROOT
from exatrkx_perf.gpu_check.events import SMALL_EVENT
from exatrkx_perf.gpu_check.phases import Phase
from exatrkx_perf.points import COMPILED_ENSEMBLE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from exatrkx_perf.gpu_check.events import Check

BUILD: Final = ROOT / "build" / "custom-backend"
_ENGINE: Final = BUILD / "exatrkx-engine"
_CHECK: Final = "perf/gpu_check.py"
_SANITIZERS: Final = ("memcheck", "racecheck", "synccheck")


def plan(python: Path, check: Check) -> list[Phase]:
    """The phases, run by this Python; without a GPU those that look at kernels are left out."""
    output, crowded = check.output, check.crowded()
    common = ["--device", check.device, "--output", str(output)]
    common += ["--bundle", str(check.bundle)] if check.bundle else []

    def own(name: str, limit_s: float) -> Phase:
        return Phase(name, (str(python), _CHECK, "--only", name, *common), limit_s)

    phases = [
        own("versions", 60.0),
        Phase("export", (str(python), "export/trace_models.py"), 90.0),
        own("build", 300.0),
        own("answers", 150.0),
        own("stages", 90.0),
        own("served", 180.0),
        _sweep(python, output / "small", ("--spacepoints", "1000:1700"), concurrency="1,8,16", instances="1,4,8"),
    ]
    if crowded:
        phases.append(
            _sweep(python, output / "large", (str(crowded), "--limit", "1"), concurrency="1,2", instances="1")
        )
    phases.append(own("bad", 120.0))
    if check.device != "cpu":
        # Other versions of packages than the pinned ones warn of other things.
        pytest = "-m pytest -m gpu -q --continue-on-collection-errors -p no:cacheprovider -o filterwarnings=default"
        phases.append(Phase("tests", (str(python), *pytest.split()), 150.0))
        phases += [_sanitizer(tool, check) for tool in _SANITIZERS]
    return phases


def build(check: Check) -> None:
    """Build the compiled stages, then the custom backend against the PyTorch at hand."""
    options = [f"-DPython3_EXECUTABLE={sys.executable}"]
    if check.device != "cpu":
        options += ["-DEXATRKX_KERNELS=cuda", "-DCMAKE_CUDA_ARCHITECTURES=native"]
    for command in (
        [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"],
        ["cmake", "-G", "Ninja", "-S", "backends/exatrkx", "-B", str(BUILD), *options],
        ["cmake", "--build", str(BUILD), "--parallel"],
    ):
        print("$", *command, flush=True)
        subprocess.run(command, cwd=ROOT, check=True)


def _sanitizer(tool: str, check: Check) -> Phase:
    files = {name: MODEL_REPOSITORY / name / "1" / "model.pt" for name in ("embed", "filter", "gnn")}
    networks = [word for name, file in files.items() for word in (f"--{name}", str(file))]
    cuts = ROOT / "models_src" / "exatrkx" / "weights" / "working_point.json"
    event = str(check.output / SMALL_EVENT)
    engine = (str(_ENGINE), *networks, "--working-point", str(cuts), "--device", check.device, event)
    sanitizer = ("compute-sanitizer", "--tool", tool, "--error-exitcode", "9", "--print-limit", "20")
    return Phase(tool, (*sanitizer, *engine), 75.0)


def _sweep(python: Path, output: Path, events: Sequence[str], *, concurrency: str, instances: str) -> Phase:
    models = f"{ENSEMBLE.name},{COMPILED_ENSEMBLE},{CUSTOM.name}"
    command = (str(python), "perf/sweep.py", *events, "--models", models, "--output", str(output), "--fresh")
    lists = ("--concurrency", concurrency, "--instances", instances, "--threads", "1", "--repeats", "1")
    return Phase(f"sweep-{output.name}", (*command, *lists), 200.0)
