"""`perf_analyzer` as one types it: of a whole pipeline it always ends with figures, and says how stable they were.

By itself perf_analyzer sends random numbers, which are no collision event, and gives up without a figure where three
windows of time do not agree within 10 %, as they do not on a busy machine. Asked for a pipeline (`-m exatrkx_…`), it is
given the bundled events, windows of so many requests and a wide limit on their range, each only where the user has not
chosen otherwise; the range is printed at the end. Every other argument goes through as it is.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exatrkx_perf.windows import STABLE_PERCENT, read_windows

if TYPE_CHECKING:
    from collections.abc import Sequence

ENOUGH_REQUESTS: Final = 100
"""Of the bundled events, in each window: five rounds over all of them."""

FEWEST_REQUESTS: Final = 20
"""Of a user's own events, which may take much longer: at least so many, in whole rounds."""

WIDE_PERCENT: Final = 1_000_000


def is_given(words: Sequence[str], *options: str) -> bool:
    """Whether one of these options is among the words of a command line, as getopt reads them.

    `-s 5` and `-s5` are both -s; a long option may be cut short (`--stab 5`) or have its value in the word (`--a=5`).
    """
    for word in words:
        name = word.partition("=")[0]
        for option in options:
            long = option.startswith("--")
            if (name[2:] and option.startswith(name)) if long else word.startswith(option):
                return True
    return False


def pipeline_of(words: Sequence[str]) -> str | None:
    """The model of a command line where it is one of this project's pipelines."""
    models = [word[2:] or value for word, value in pairwise([*words, ""]) if word[:2] == "-m"]
    return models[-1] if models and models[-1].startswith("exatrkx_") else None


def completed(words: Sequence[str], events: Path) -> list[str]:
    """The words of a command line with the input file `events`, windows and a limit, each where the user gave none."""
    found = list(words)
    requests = _round(words)
    if not is_given(words, "--input-data", "--shape", "-z", "--data-directory"):
        found += ["--input-data", str(events)]
        requests = ENOUGH_REQUESTS
    if not is_given(words, "-p", "--measurement-interval", "--measurement-mode", "--request-count", "--request-period"):
        found += ["--measurement-mode", "count_windows"]
        if not is_given(words, "--measurement-request-count"):
            found += ["--measurement-request-count", str(requests)]
    if not is_given(words, "-s", "--stability-percentage"):
        found += ["-s", str(WIDE_PERCENT)]
    return found if is_given(words, "-v") else [*found, "-v"]  # it prints each window


def _round(words: Sequence[str]) -> int:
    """Requests in whole rounds over the events of `--input-data`, where that can be read."""
    for word, value in pairwise([*words, ""]):
        name, _, attached = word.partition("=")
        if is_given([name], "--input-data"):
            try:
                events = len(json.loads(Path(attached or value).read_text())["data"])
                return -(-FEWEST_REQUESTS // events) * events
            except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
                break
    return FEWEST_REQUESTS


def run(program: str, words: Sequence[str]) -> int:
    """Exit code of perf_analyzer; what it prints goes through, and the stability of every load comes last.

    An interrupt from the keyboard is perf_analyzer's own to answer, which it reaches, too; SIGTERM is handed on.
    """
    lines = []
    with subprocess.Popen([program, *words], stdout=subprocess.PIPE, text=True, errors="replace") as process:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if windows := read_windows(lines):
        limit = f"stable is within {STABLE_PERCENT:g} %, of throughput and of latency"
        print(f"Stability, median (range) of the last windows ({limit}):", *windows, sep="\n  ", flush=True)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def main(program: str, events: str, *words: str) -> int:
    """The launcher: `perf_analyzer WORDS…`; see `exatrkx_perf.installation.install_launcher`."""
    if pipeline_of(words) is None:
        os.execv(program, [program, *words])  # noqa: S606 - it takes this process's place
    full = completed(words, Path(events))
    if added := full[len(words) :]:
        print(f"perf_analyzer: as nothing else was asked, with {' '.join(added)}", file=sys.stderr)
    return run(program, full)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
