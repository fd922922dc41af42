"""The phases of the check: each a command of its own with its own time limit, so that one failure hides nothing."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from exatrkx_perf import ROOT
from exatrkx_server.processes import start_process, stop_process_group

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TAIL_LINES: Final = 25
_GRACE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase.

    Attributes:
        name: of its log, `<name>.log`, and of the file of its results, `<name>.json`, where it writes one.
        command: program and arguments, run in the repository's root.
        limit_s: after so many seconds it is ended, with everything that it started.
    """

    name: str
    command: tuple[str, ...]
    limit_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a phase ended: its exit code, −1 where its time was up; what it took; the end of its log where it failed."""

    name: str
    code: int
    seconds: float
    tail: str


def run_phases(phases: list[Phase], output: Path, environment: Mapping[str, str], budget_s: float) -> list[Outcome]:
    """Run them in order; what does not fit into `budget_s` any more is left out, and its outcome says so."""
    deadline = time.monotonic() + budget_s
    outcomes: list[Outcome] = []
    for phase in phases:
        left = deadline - time.monotonic()
        if left < min(phase.limit_s, 10.0):
            outcomes.append(Outcome(phase.name, -1, 0.0, "left out: no time was left"))
        else:
            outcomes.append(_run(phase, min(phase.limit_s, left), output, environment))
        _say(outcomes[-1])
        write_json(output / "phases.json", [asdict(outcome) for outcome in outcomes])
    return outcomes


def _run(phase: Phase, limit_s: float, output: Path, environment: Mapping[str, str]) -> Outcome:
    log = output / f"{phase.name}.log"
    log.unlink(missing_ok=True)
    began = time.monotonic()
    process = start_process(phase.command, environment, log, ROOT)
    try:
        code = process.wait(limit_s)
    except subprocess.TimeoutExpired:
        code = -1
    finally:
        stop_process_group(process, grace_s=_GRACE_S)
    lines = log.read_text(errors="replace").splitlines()
    tail = "" if code == 0 else "\n".join(lines[-_TAIL_LINES:])
    return Outcome(phase.name, code, time.monotonic() - began, tail)


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n")


def _say(outcome: Outcome) -> None:
    state = "ok" if outcome.code == 0 else "TIME WAS UP" if outcome.code == -1 else f"FAILED ({outcome.code})"
    print(f"{outcome.name:<14}{outcome.seconds:7.1f} s  {state}", flush=True)
    if outcome.tail:
        print("    " + "\n    ".join(outcome.tail.splitlines()[-8:]), flush=True)
