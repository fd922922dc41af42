"""Check everything that runs on a GPU, and measure it: `python perf/gpu_check.py`; see perf/README.md.

Each phase runs by itself, under its own time limit. The report, its figures and every log go to --output.
"""

from __future__ import annotations

import argparse
import os
import pkgutil
import sys
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parents[1]
for _sources in ("models_src", "client", "deploy"):  # on a bare machine nothing of this project is installed
    sys.path.append(str(ROOT / _sources))

PHASES: Final = {
    "versions": "versions:versions",
    "build": "plan:build",
    "answers": "answers:compare_answers",
    "stages": "stages:profile_stages",
    "served": "served:ask_servers",
    "bad": "served:ask_badly",
}
"""Module and function of each phase that is no command of its own; only that module is imported."""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--device", default="cuda:0", help="cuda:N, or cpu to try the check without a GPU (default: %(default)s)"
    )
    parser.add_argument("--bundle", type=Path, help="what perf/gpu_pack.py made, where packages are missing")
    parser.add_argument("--output", type=Path, default=Path("out/gpu"), help="default: %(default)s")
    parser.add_argument("--phases", help="run only these: answers,stages,…")
    parser.add_argument("--budget", type=float, default=480.0, help="seconds for all phases (default: %(default)s)")
    parser.add_argument("--only", help=argparse.SUPPRESS)  # one phase, in this process
    return parser.parse_args(arguments)


def run_all(options: argparse.Namespace) -> int:
    """Make the environment, run every phase in it, write the report."""
    from exatrkx_perf.gpu_check.bundle import unpack  # noqa: PLC0415 - after the path is set
    from exatrkx_perf.gpu_check.environment import make_environment  # noqa: PLC0415
    from exatrkx_perf.gpu_check.events import Check  # noqa: PLC0415
    from exatrkx_perf.gpu_check.phases import run_phases  # noqa: PLC0415
    from exatrkx_perf.gpu_check.plan import plan  # noqa: PLC0415
    from exatrkx_perf.gpu_check.report import write_report  # noqa: PLC0415

    check = Check(options.device, options.output.resolve(), options.bundle and options.bundle.resolve())
    check.output.mkdir(parents=True, exist_ok=True)
    python = Path(sys.executable)
    if check.bundle is not None:
        unpacked = ROOT / "build" / "gpu-packages"
        unpack(check.bundle, unpacked)
        python = make_environment(ROOT / "build" / "gpu-venv", unpacked)
    environment = os.environ | {"PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    wanted = options.phases.split(",") if options.phases else None
    phases = [phase for phase in plan(python, check) if wanted is None or phase.name in wanted]
    if wanted is not None and len(phases) < len(set(wanted)):
        print(
            f"gpu_check.py: --phases: known are {', '.join(phase.name for phase in plan(python, check))}",
            file=sys.stderr,
        )
        return 2
    outcomes = run_phases(phases, check.output, environment, options.budget)
    print(write_report(check.output, check.device))
    return 0 if all(outcome.code == 0 for outcome in outcomes) else 1


def run_one(options: argparse.Namespace) -> int:
    """One phase, in this process; writes its results as JSON."""
    from exatrkx_perf.gpu_check.events import Check  # noqa: PLC0415 - after the path is set
    from exatrkx_perf.gpu_check.phases import write_json  # noqa: PLC0415

    phase = pkgutil.resolve_name(f"exatrkx_perf.gpu_check.{PHASES[options.only]}")
    result = phase(Check(options.device, options.output, options.bundle))
    write_json(options.output / f"{options.only}.json", result)
    # A server that did not start hides no other one, but fails its phase.
    parts = result.values() if isinstance(result, dict) else ()
    return int(any("error" in part for part in parts if isinstance(part, dict)))


def main() -> int:
    """The command line; returns the exit code: 1 where a phase failed."""
    from exatrkx.commands import run_command  # noqa: PLC0415 - after the path is set
    from exatrkx.errors import ExitCode  # noqa: PLC0415

    def check() -> ExitCode:
        options = parse()
        return ExitCode(run_one(options) if options.only else run_all(options))

    return run_command("gpu_check.py", check)


if __name__ == "__main__":
    sys.exit(main())
