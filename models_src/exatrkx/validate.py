"""`python -m exatrkx.validate EVENTS…`: run the pipeline on events with truth, and report how good its tracks are."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from exatrkx.errors import ExatrkxError
from exatrkx.pipeline import Pipeline
from exatrkx.readers import count_events, read_events
from exatrkx.report import code_line, particles_line, track_table, with_interval
from exatrkx.validation import Validation
from exatrkx.working_point import WEIGHTS_DIR

if TYPE_CHECKING:
    from collections.abc import Sequence


def markdown(result: Validation, pipeline: Pipeline, samples: Sequence[str]) -> str:
    """The report as Markdown: what was run, each stage's graph, the tracks with 95 % intervals."""
    point = ", ".join(f"{name} {value}" for name, value in asdict(pipeline.working_point).items())
    lines = [
        f"- Events: {result.events} ({', '.join(samples)}), "
        f"{result.spacepoints / max(1, result.events):.0f} spacepoints and "
        f"{result.candidates / max(1, result.events):.0f} track candidates each",
        particles_line(result.selection),
        f"- Working point: {point}",
        code_line(),
        "",
        "| graph after | edge efficiency | purity | edges per event |",
        "|---|---|---|---|",
    ]
    for name, stage in result.stages.items():
        edges = stage.count / max(1, result.events)
        efficiency, purity = with_interval(stage.edges.efficiency), with_interval(stage.edges.purity)
        lines.append(f"| {name} | {efficiency} | {purity} | {edges:.0f} |")
    return "\n".join([*lines, "", *track_table(result.tracks)]) + "\n"


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
