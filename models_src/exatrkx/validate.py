"""`python -m exatrkx.validate EVENTS…`: find the tracks of events with truth, and report how good they are.

Several samples, each with a section of the report and a colour in the plots:

    python -m exatrkx.validate --sample "µ = 0" mu0.parquet --sample "µ = 40" mu40.parquet --plots plots
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tqdm import tqdm

from exatrkx.contract import CUSTOM, ENSEMBLE
from exatrkx.errors import ExatrkxError
from exatrkx.readers import count_events, read_events
from exatrkx.validation import Validation, validate
from exatrkx.validation.finders import direct, served
from exatrkx.validation.report import Sample, markdown
from exatrkx.validation.table_file import write_table
from exatrkx.working_point import WEIGHTS_DIR

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from exatrkx.validation.finders import Finder

TABLE_SUFFIX: Final = ".csv"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; what contradicts itself ends the program with a message."""
    lines = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(prog="python -m exatrkx.validate", description=lines[0])
    add = parser.add_argument
    add("events", nargs="*", help="files of events with truth, in any format that is read")
    add(
        "--sample",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "EVENTS"),
        help="a sample with a section of its own: its name, then its files; a name that ends in µ = 40 tells the "
        "pile-up for the plots. May be given several times",
    )
    add("--weights", type=Path, help="folder of networks and working point (default: the committed ones)")
    add("--device", help="of the direct call (default: cpu)")
    add("--server", metavar="URL", help="take the tracks from this server; host:port, grpc://… or http://…")
    add("--model", help=f"of the server: {ENSEMBLE.name} (default), {CUSTOM.name}, or one with the same tensors")
    add("--output", type=Path, help="append the report to this Markdown file, and write its bins as CSV beside it")
    add("--plots", type=Path, metavar="FOLDER", help="draw efficiencies and rates as PNG (needs mplhep)")
    options = parser.parse_args(arguments)
    _require_sense(parser, options)
    return options


def _require_sense(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if not options.events and not options.sample:
        parser.error("no events: name files, or samples with --sample NAME EVENTS…")
    if any(not paths for _, *paths in options.sample):
        parser.error("--sample needs a name and then files: --sample 'µ = 40' mu40.parquet")
    names = [sample.name for sample in samples_of(options)]
    if len(set(names)) < len(names):
        parser.error(f"samples must have different names, found {', '.join(names)}")
    if options.server and (options.weights or options.device):
        parser.error("--weights and --device are of the direct call: a server has its own")
    if options.model and not options.server:
        parser.error("--model is of a server: name it with --server URL")
    if options.output and options.output.suffix == TABLE_SUFFIX:
        parser.error(f"--output is the Markdown report; its bins go to the {TABLE_SUFFIX} file of the same name")


def samples_of(options: argparse.Namespace) -> list[Sample]:
    """The samples in the order in which they were named; files without a name have those of the files."""
    unnamed = [Sample(", ".join(Path(path).name for path in options.events), tuple(options.events))]
    return (unnamed if options.events else []) + [Sample(name, tuple(paths)) for name, *paths in options.sample]


def finder_of(options: argparse.Namespace) -> AbstractContextManager[Finder]:
    """What finds the tracks: a server, or the pipeline in this process."""
    if options.server:
        return served(options.server, options.model or ENSEMBLE.name)
    from exatrkx.pipeline import Pipeline  # noqa: PLC0415 - judging a server's tracks needs no torch

    return nullcontext(direct(Pipeline.from_weights(options.weights or WEIGHTS_DIR, options.device or "cpu")))


def judge(options: argparse.Namespace) -> str:
    """Do what the options ask for. Returns the report.

    Raises:
        ExatrkxError, OSError, ValueError: events, networks, server or outputs are not as they should be.
    """
    if options.plots:
        # Here, because matplotlib takes a while; first, because a missing mplhep is better known before the wait.
        from exatrkx.plot_style import settings  # noqa: PLC0415

        settings()
    samples = samples_of(options)
    totals = [count_events(sample.paths) for sample in samples]  # a missing file is told before the wait, too
    results: dict[Sample, Validation] = {}
    with finder_of(options) as finder:
        for sample, total in zip(samples, totals, strict=True):
            events = tqdm(read_events(sample.paths), total=total, unit="event", desc=sample.name)
            results[sample] = validate(finder, events)
    report = markdown(results, finder)
    if options.output:
        with options.output.open("a", encoding="utf-8") as file:
            file.write(report)
        write_table(options.output.with_suffix(TABLE_SUFFIX), {s.name: result.binned for s, result in results.items()})
    if options.plots:
        from exatrkx.validation.plots import write_plots  # noqa: PLC0415 - as above

        write_plots({sample.name: result for sample, result in results.items()}, options.plots)
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    options = parse(arguments)
    try:
        report = judge(options)
    except (ExatrkxError, OSError, ValueError) as error:
        print(f"validate: {error}", file=sys.stderr)
        return 1
    print(report)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
