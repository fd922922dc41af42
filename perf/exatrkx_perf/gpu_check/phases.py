"""The phases of the check: each a command of its own with its own time limit, so that one failure hides nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from exatrkx_perf import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

_TAIL_LINES: Final = 25


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase.

    Attributes:
        name: of its log, `<name>.log`, and of the file of its results, `<name>.json`, where it writes one.
        command: program and arguments, run in the repository's root.
        limit_s: after so many seconds it is ended, with everything that it started.
        background: whether the phases after it begin while it runs; `needs` of a later one waits for it.
        needs: a background phase that must have ended before.
    """

    name: str
    command: tuple[str, ...]
    limit_s: float
    background: bool = False
    needs: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a phase ended: its exit code, −1 where its time was up; what it took; the end of its log where it failed."""

    name: str
    code: int
    seconds: float
    tail: str


class _Running:
    def __init__(self, phase: Phase, output: Path, environment: Mapping[str, str]) -> None:
        self.phase = phase
        self.log = output / f"{phase.name}.log"
        self._began = time.monotonic()
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                phase.command,
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self, limit_s: float) -> Outcome:
        try:
            code = self._process.wait(max(limit_s - (time.monotonic() - self._began), 0.1))
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGTERM)  # servers stop cleanly on it
            try:
                self._process.wait(10.0)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            code = -1
        seconds = time.monotonic() - self._began
        lines = self.log.read_text(errors="replace").splitlines()
        return Outcome(self.phase.name, code, seconds, "" if code == 0 else "\n".join(lines[-_TAIL_LINES:]))


def run_phases(phases: list[Phase], output: Path, environment: Mapping[str, str], budget_s: float) -> list[Outcome]:
    """Run them in order; what does not fit into `budget_s` any more is left out, and its outcome says so."""
    deadline = time.monotonic() + budget_s
    outcomes: list[Outcome] = []
    behind: dict[str, _Running] = {}

    def finish(running: _Running) -> None:
        outcomes.append(running.wait(min(running.phase.limit_s, max(deadline - time.monotonic(), 1.0))))
        _say(outcomes[-1])
        save_outcomes(output, outcomes)

    for phase in phases:
        if phase.needs in behind:
            finish(behind.pop(phase.needs))
        left = deadline - time.monotonic()
        if left < min(phase.limit_s, 10.0):
            outcomes.append(Outcome(phase.name, -1, 0.0, "left out: no time was left"))
            continue
        running = _Running(phase, output, environment)
        if phase.background:
            behind[phase.name] = running
        else:
            finish(running)
    for running in behind.values():
        finish(running)
    save_outcomes(output, outcomes)
    return outcomes


def save_outcomes(output: Path, outcomes: list[Outcome]) -> None:
    write_json(output / "phases.json", [asdict(outcome) for outcome in outcomes])


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n")


def _say(outcome: Outcome) -> None:
    state = "ok" if outcome.code == 0 else "TIME WAS UP" if outcome.code == -1 else f"FAILED ({outcome.code})"
    print(f"{outcome.name:<14}{outcome.seconds:7.1f} s  {state}", flush=True)
    if outcome.tail:
        print("    " + "\n    ".join(outcome.tail.splitlines()[-8:]), flush=True)
