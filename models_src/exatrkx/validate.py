"""`python -m exatrkx.validate EVENTS…`: run the pipeline on events with truth, and report how good its tracks are."""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from exatrkx.errors import ExatrkxError
from exatrkx.pipeline import Pipeline
from exatrkx.readers import count_events, read_events
from exatrkx.validation import Validation
from exatrkx.working_point import WEIGHTS_DIR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exatrkx.intervals import Ratio

TRACK_ROWS = (
    ("efficiency, double majority", "efficiency_double_majority", "> 50 % of the candidate and of the particle"),
    ("efficiency, LHC", "efficiency_lhc", "≥ 75 % of the candidate"),
    ("efficiency, perfect", "efficiency_perfect", "exactly the particle's spacepoints"),
    ("fake rate", "fake_rate", "candidates in which no particle has more than half"),
    ("unmatched rate", "unmatched_rate", "candidates that match no particle by double majority"),
    ("duplicate rate", "duplicate_rate", "candidates of a selected particle beyond its first"),
)


def markdown(result: Validation, pipeline: Pipeline, samples: Sequence[str]) -> str:
    """The report as Markdown: what was run, each stage's graph, the tracks with 95 % intervals."""
    cut = result.selection
    point = ", ".join(f"{name} {value}" for name, value in asdict(pipeline.working_point).items())
    lines = [
        f"- Events: {result.events} ({', '.join(samples)}), "
        f"{result.spacepoints / max(1, result.events):.0f} spacepoints and "
        f"{result.candidates / max(1, result.events):.0f} track candidates each",
        f"- Particles to be found: charged primaries, pT > {cut.min_pt:g} GeV, |η| < {cut.max_abs_eta:g}, "
        f"at least {cut.min_spacepoints} spacepoints",
        f"- Working point: {point}",
        f"- Code: {_commit()}; {platform.machine()}, Python {platform.python_version()}",
        "",
        "| graph after | edge efficiency | purity | edges per event |",
        "|---|---|---|---|",
    ]
    for name, stage in result.stages.items():
        edges = stage.count / max(1, result.events)
        lines.append(f"| {name} | {_ratio(stage.edges.efficiency)} | {_ratio(stage.edges.purity)} | {edges:.0f} |")
    lines += ["", "| tracks | value [95 % interval] | counted | matched when, or counted what |", "|---|---|---|---|"]
    for title, name, meaning in TRACK_ROWS:
        ratio = getattr(result.tracks, name)
        lines.append(f"| {title} | {_ratio(ratio)} | {ratio.numerator} / {ratio.denominator} | {meaning} |")
    return "\n".join(lines) + "\n"


def _ratio(ratio: Ratio) -> str:
    low, high = ratio.interval
    return f"{ratio.value:.4f} [{low:.4f}, {high:.4f}]"


def _commit() -> str:
    try:
        describe = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
        answer = subprocess.run(describe, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "not in a git checkout"
    return f"commit {answer.stdout.strip()}"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m exatrkx.validate", description=__doc__)
    parser.add_argument("events", nargs="+", help="files of events with truth, in any format that is read")
    parser.add_argument("--weights", type=Path, default=WEIGHTS_DIR, help="folder of networks and working point")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", type=Path, help="append the report to this Markdown file too")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    try:
        pipeline = Pipeline.from_weights(options.weights, options.device)
        result = Validation()
        for event in tqdm(read_events(options.events), total=count_events(options.events), unit="event"):
            result.add(pipeline, event)
    except (ExatrkxError, OSError, ValueError) as error:
        print(f"validate: {error}", file=sys.stderr)
        return 1
    report = markdown(result, pipeline, [Path(name).name for name in options.events])
    print(report)
    if options.output:
        with options.output.open("a") as file:
            file.write(report)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
