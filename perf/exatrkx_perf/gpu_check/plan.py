"""Which phases the check has, in their order: what may end a GPU's context comes last."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exatrkx.contract import CUSTOM, ENSEMBLE
from exatrkx_perf import ROOT
from exatrkx_perf.gpu_check.bundle import PILE_UP_EVENTS
from exatrkx_perf.gpu_check.phases import Phase
from exatrkx_perf.points import COMPILED_ENSEMBLE

if TYPE_CHECKING:
    from collections.abc import Sequence

BUILD: Final = ROOT / "build" / "custom-backend"
_ENGINE: Final = BUILD / "exatrkx-engine"
_REPOSITORY: Final = ROOT / "model_repository"
_CHECK: Final = "perf/gpu_check.py"
_SANITIZERS: Final = ("memcheck", "racecheck", "synccheck")


def plan(python: Path, output: Path, device: str, bundle: Path | None) -> list[Phase]:
    """The phases on `device`, cuda:N or cpu; without a GPU those that look at kernels are left out."""
    crowded = [str(bundle / PILE_UP_EVENTS)] if bundle is not None and (bundle / PILE_UP_EVENTS).is_file() else []
    common = ["--device", device, "--output", str(output), *(["--bundle", str(bundle)] if bundle else [])]

    def own(name: str, limit_s: float, needs: str = "") -> Phase:
        return Phase(name, (str(python), _CHECK, "--only", name, *common), limit_s, needs=needs)

    on_gpu = device != "cpu"
    return [
        Phase("build", (str(python), _CHECK, "--only", "build", *common), 300.0, background=True),
        own("versions", 60.0),
        Phase("export", (str(python), "export/trace_models.py"), 90.0),
        own("answers", 150.0, needs="build"),
        own("stages", 90.0),
        own("served", 180.0, needs="build"),
        _sweep(python, output / "small", ("--spacepoints", "1000:1700"), concurrency="1,8,16", instances="1,4,8"),
        *(
            [_sweep(python, output / "large", (*crowded, "--limit", "1"), concurrency="1,2", instances="1")]
            if crowded
            else []
        ),
        own("bad", 120.0),
        *([_gpu_tests(python)] if on_gpu else []),
        *(_sanitizer(tool, output, device) for tool in (_SANITIZERS if on_gpu else ())),
    ]


def build_commands(python: Path, device: str) -> list[list[str]]:
    """The compiled stages, then the custom backend against the PyTorch at hand."""
    options = [f"-DPython3_EXECUTABLE={python}"]
    if device != "cpu":
        options += ["-DEXATRKX_KERNELS=cuda", "-DCMAKE_CUDA_ARCHITECTURES=native"]
    return [
        [str(python), "setup.py", "--quiet", "build_ext", "--inplace"],
        ["cmake", "-G", "Ninja", "-S", "backends/exatrkx", "-B", str(BUILD), *options],
        ["cmake", "--build", str(BUILD), "--parallel"],
    ]


def _gpu_tests(python: Path) -> Phase:
    words: tuple[str, ...] = (
        "-m",
        "pytest",
        "-m",
        "gpu",
        "-q",
        "--continue-on-collection-errors",
        "-p",
        "no:cacheprovider",
    )
    words += ("-o", "filterwarnings=default")  # other versions of packages than the pinned ones warn of other things
    return Phase("tests", (str(python), *words), 150.0, needs="build")


def _sanitizer(tool: str, output: Path, device: str) -> Phase:
    files = {name: _REPOSITORY / name / "1" / "model.pt" for name in ("embed", "filter", "gnn")}
    networks = [word for name, file in files.items() for word in (f"--{name}", str(file))]
    cuts = ROOT / "models_src" / "exatrkx" / "weights" / "working_point.json"
    engine = (str(_ENGINE), *networks, "--working-point", str(cuts), "--device", device, str(output / "small.csv"))
    sanitizer = ("compute-sanitizer", "--tool", tool, "--error-exitcode", "9", "--print-limit", "20")
    return Phase(tool, (*sanitizer, *engine), 75.0, needs="build")


def _sweep(python: Path, output: Path, events: Sequence[str], *, concurrency: str, instances: str) -> Phase:
    models = f"{ENSEMBLE.name},{COMPILED_ENSEMBLE},{CUSTOM.name}"
    command = (str(python), "perf/sweep.py", *events, "--models", models, "--output", str(output), "--fresh")
    lists = ("--concurrency", concurrency, "--instances", instances, "--threads", "1", "--repeats", "1")
    return Phase(f"sweep-{output.name}", (*command, *lists), 200.0)


def this_python() -> Path:
    return Path(sys.executable)
