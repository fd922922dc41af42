"""Check everything that runs on a GPU, and measure it: `python perf/gpu_check.py`; see perf/README.md.

Each phase runs by itself, under its own time limit. The report, its figures and every log go to --output.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
for _sources in ("models_src", "client", "deploy"):  # on a bare machine nothing of this project is installed
    sys.path.append(str(ROOT / _sources))

if TYPE_CHECKING:
    from collections.abc import Callable


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0", help="cuda:N, or cpu to rehearse (default: %(default)s)")
    parser.add_argument("--bundle", type=Path, help="what perf/gpu_pack.py made, where packages are missing")
    parser.add_argument("--output", type=Path, default=Path("out/gpu"), help="default: %(default)s")
    parser.add_argument("--phases", help="run only these: answers,stages,…")
    parser.add_argument("--budget", type=float, default=480.0, help="seconds for all phases (default: %(default)s)")
    parser.add_argument("--only", help=argparse.SUPPRESS)  # one phase, in this process
    return parser.parse_args(arguments)


def run_all(options: argparse.Namespace) -> int:
    """Make the environment, run every phase in it, write the report."""
    from exatrkx_perf.gpu_check.bundle import unpack  # noqa: PLC0415 - a phase needs none of these
    from exatrkx_perf.gpu_check.environment import make_environment  # noqa: PLC0415
    from exatrkx_perf.gpu_check.phases import run_phases  # noqa: PLC0415
    from exatrkx_perf.gpu_check.plan import plan, this_python  # noqa: PLC0415
    from exatrkx_perf.gpu_check.report import write_report  # noqa: PLC0415

    output = options.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    python, bundle = this_python(), options.bundle.resolve() if options.bundle else None
    if bundle is not None:
        unpacked = ROOT / "build" / "gpu-packages"
        unpack(bundle, unpacked)
        python = make_environment(ROOT / "build" / "gpu-venv", unpacked)
    environment = dict(os.environ)
    environment["PATH"] = f"{python.parent}{os.pathsep}{environment.get('PATH', '')}"
    phases = plan(python, output, options.device, bundle)
    if options.phases:
        wanted = options.phases.split(",")
        phases = [phase for phase in phases if phase.name in wanted]
    outcomes = run_phases(phases, output, environment, options.budget)
    print(write_report(output, options.device))
    return 0 if all(outcome.code == 0 for outcome in outcomes) else 1


def run_one(options: argparse.Namespace) -> int:
    """One phase, in this process; writes its results as JSON."""
    from exatrkx_perf.gpu_check.events import read_events_of_check, small_and_large  # noqa: PLC0415
    from exatrkx_perf.gpu_check.phases import write_json  # noqa: PLC0415

    output = options.output
    pile_up = options.bundle / "mu200.parquet" if options.bundle else None

    def answers() -> Any:
        from exatrkx_perf.gpu_check.answers import compare_answers  # noqa: PLC0415

        sample = read_events_of_check(pile_up)
        small = small_and_large(sample.arrays)
        rows = (",".join(f"{value:.9g}" for value in row) for row in next(iter(small.values())))
        (output / "small.csv").write_text("\n".join(rows) + "\n")
        return compare_answers(sample.arrays, options.device, output)

    def stages() -> Any:
        from exatrkx_perf.gpu_check.stages import profile_stages  # noqa: PLC0415

        return profile_stages(small_and_large(read_events_of_check(pile_up).arrays), options.device)

    def served() -> Any:
        from exatrkx_perf.gpu_check.served import ask_servers  # noqa: PLC0415

        arrays = read_events_of_check(pile_up).arrays
        return ask_servers(arrays, small_and_large(arrays), output)

    def bad() -> Any:
        from exatrkx_perf.gpu_check.served import ask_badly  # noqa: PLC0415

        return ask_badly(read_events_of_check(None).arrays, output)

    def versions() -> Any:
        from exatrkx_perf.gpu_check.versions import versions  # noqa: PLC0415

        return versions()

    def build() -> Any:
        from exatrkx_perf.gpu_check.plan import build_commands, this_python  # noqa: PLC0415

        for command in build_commands(this_python(), options.device):
            print("$", *command, flush=True)
            subprocess.run(command, cwd=ROOT, check=True)
        return {"built": True}

    phases: dict[str, Callable[[], Any]] = {
        "answers": answers,
        "stages": stages,
        "served": served,
        "bad": bad,
        "versions": versions,
        "build": build,
    }
    write_json(output / f"{options.only}.json", phases[options.only]())
    return 0


def main() -> int:
    """The command line; returns the exit code: 1 where a phase failed."""
    options = parse()
    return run_one(options) if options.only else run_all(options)


if __name__ == "__main__":
    sys.exit(main())
