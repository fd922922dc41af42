"""Physics guard, `python -m exatrkx.validation.guard`: figures of fixed events beside stored references.

It fails where the efficiency of the networks fell by more than 0.001, perfect tracks by more than 0.005, or the CPU
time rose by more than 5 %, as a ratio to that of a fixed computation in the same run. CPU times are compared on a
processor of the references' kind alone; on another one they are told. `--write` makes the references anew.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from exatrkx.commands import command_parser, run_command
from exatrkx.errors import ExatrkxError, ExitCode
from exatrkx.events.readers import count_events, input_files, read_events
from exatrkx.files import check_outputs, write_files
from exatrkx.performance.intervals import Ratio
from exatrkx.progress import bar
from exatrkx.reporting.markdown import markdown_table
from exatrkx.validation.evaluation import Validation
from exatrkx.validation.finders import direct
from exatrkx.working_point import WEIGHTS_DIR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exatrkx.pipeline import Pipeline

MAY_FALL: Final = {"efficiency_double_majority": 0.001, "efficiency_perfect": 0.005}
"""By how much a figure may fall below its reference."""

TOLD: Final = (*MAY_FALL, "fake_rate", "duplicate_rate")
"""The figures that are stored; the last two are for people."""

MAY_RISE: Final = 1.05
"""Factor by which the CPU time may rise above its reference."""

_REPEATS: Final = 3
_ROUNDING: Final = 1e-9


class FallenError(ExatrkxError):
    """Figures are worse than their references; a line for each of them."""

    is_list: ClassVar[bool] = True


class ReferencesError(ExatrkxError, ValueError):
    """No references, or those of other events."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What is stored of a sample.

    Attributes:
        spacepoints: of its events, by which other events are told apart.
        ratios: by the name of the field of `TrackMetrics`.
        cpu: CPU time of the pipeline over that of the fixed computation, by the name of the processor.
    """

    spacepoints: int
    ratios: dict[str, Ratio]
    cpu: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The form in which it is stored."""
        ratios = {name: [one.numerator, one.denominator] for name, one in self.ratios.items()}
        return {"spacepoints": self.spacepoints, **ratios, "cpu": self.cpu}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Figures:
        """The reverse.

        Raises:
            KeyError, TypeError, ValueError: something else is stored.
        """
        ratios = {name: Ratio(*stored[name]) for name in TOLD}
        return cls(spacepoints=int(stored["spacepoints"]), ratios=ratios, cpu=dict(stored["cpu"]))


def measure(pipeline: Pipeline, name: str, paths: Sequence[str], *, timed: bool) -> Figures:
    """The figures of a sample; with its time, each event several times, of which the fastest counts.

    Raises:
        ExatrkxError, ValueError: events cannot be read, or have no truth.
    """
    finder, result = direct(pipeline), Validation()
    seconds, computation = 0.0, [_computation()]
    for event in bar(read_events(paths), total=count_events(paths), desc=name):
        times = []
        for _ in range(_REPEATS if timed else 1):
            began = time.process_time()
            found = finder.find(event)
            times.append(time.process_time() - began)
        seconds += min(times)
        if timed:
            computation.append(_computation())
        result.add(found, event)
    ratios = {figure: getattr(result.tracks, figure) for figure in TOLD}
    cpu = {processor(): round(seconds / min(computation), 3)} if timed else {}
    return Figures(spacepoints=result.spacepoints, ratios=ratios, cpu=cpu)


def _computation() -> float:
    """CPU time in s of what the pipeline does much of: products of tall matrices, and sorting."""
    import torch  # noqa: PLC0415 - the help needs none

    rows = torch.linspace(-1.0, 1.0, 16384 * 64).reshape(-1, 64)
    keys = np.random.default_rng(1).integers(0, 2**40, 300_000)
    began = time.process_time()
    for _ in range(10):
        torch.relu(rows @ rows[:64])
    np.sort(keys)
    return time.process_time() - began


def processor() -> str:
    """The kind of processor, as Linux names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def compare(name: str, now: Figures, reference: Figures) -> tuple[list[list[str]], list[str]]:
    """Rows of the table, and what is worse than it may be, in words.

    Raises:
        ReferencesError: the reference is of other events.
    """
    mine, its = (
        f"{one.ratios[TOLD[0]].denominator} particles, {one.spacepoints} spacepoints" for one in (now, reference)
    )
    if mine != its:
        raise ReferencesError(f"{name}: the references are of other events: expected {its}, found {mine}")
    rows, worse = [], []
    for figure, ratio in now.ratios.items():
        stored, allowed = reference.ratios[figure], MAY_FALL.get(figure)
        rows.append([name, figure.replace("_", " "), f"{ratio.value:.4f}", f"{stored.value:.4f}", f"{allowed or '–'}"])
        if allowed is not None and stored.value - ratio.value > allowed + _ROUNDING:
            worse.append(f"{name}: {rows[-1][1]} fell from {stored.value:.4f} to {ratio.value:.4f}")
    for kind, ratio_now in now.cpu.items():
        before = reference.cpu.get(kind)
        rows.append([name, "CPU time, relative", f"{ratio_now:.3f}", f"{before or '–'}", f"× {MAY_RISE}"])
        if before is not None and ratio_now > MAY_RISE * before:
            worse.append(f"{name}: CPU time rose from {before:.3f} to {ratio_now:.3f} of the fixed computation's")
    return rows, worse


def read_references(file: Path) -> dict[str, Figures]:
    """The stored figures of each sample; none where there is no file.

    Raises:
        ReferencesError: the file holds something else.
    """
    if not file.exists():
        return {}
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        return {name: Figures.from_json(one) for name, one in stored.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReferencesError(f"{file}: no references: {error}") from error


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; what contradicts itself ends the program with a message."""
    parser = command_parser("python -m exatrkx.validation.guard", (__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--sample", nargs="+", action="append", required=True, metavar=("NAME", "EVENTS"), help="a name, then files")
    add("--references", type=Path, required=True, metavar="FILE", help="JSON of the stored figures")
    add("--write", action="store_true", help="store what is found as the references of these samples")
    add("--no-time", action="store_true", help="leave CPU times out")
    add("--weights", type=Path, default=WEIGHTS_DIR, help="folder of networks and working point")
    options = parser.parse_args(arguments)
    if any(not paths for _, *paths in options.sample):
        parser.error("--sample needs a name and then files")
    return options


def guard(options: argparse.Namespace) -> None:
    """Compare, or store.

    Raises:
        FallenError: figures are worse than they may be.
        ExatrkxError, OSError, ValueError: events, networks or references are not as they should be.
    """
    from exatrkx.pipeline import Pipeline  # noqa: PLC0415 - the help needs none

    if options.write:
        check_outputs([options.references], [file for _, *paths in options.sample for file in input_files(paths)])
    references = read_references(options.references)
    unknown = [name for name, *_ in options.sample if name not in references and not options.write]
    if unknown:
        raise ReferencesError(f"{options.references}: no reference of {', '.join(unknown)}; --write makes one")
    pipeline = Pipeline.from_weights(options.weights)
    found = {name: measure(pipeline, name, paths, timed=not options.no_time) for name, *paths in options.sample}
    if options.write:
        stored = {name: one.to_json() for name, one in {**references, **found}.items()}
        write_files({options.references: (json.dumps(stored, ensure_ascii=False, indent=1) + "\n").encode()})
        references |= found
    compared = [compare(name, one, references[name]) for name, one in found.items()]
    columns = ("sample", "figure", "now", "reference", "may change by")
    print("\n".join(markdown_table(columns, [row for rows, _ in compared for row in rows], lined_up=True)))
    worse = [line for _, lines in compared for line in lines]
    if worse:
        raise FallenError("\n".join(worse))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command("physics", lambda: guard(parse(arguments)))


if __name__ == "__main__":
    raise SystemExit(main())
