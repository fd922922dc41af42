"""`python -m exatrkx.validate EVENTS…`: find the tracks of events with truth, and report how good they are.

Several samples, each with a section of the report and a colour in the plots:

    python -m exatrkx.validate --sample "µ = 0" mu0.parquet --sample "µ = 40" mu40.parquet --plots plots

Beside the networks any tracks that were found in the same events, here the CKF's, with a file for each sample:

    python -m exatrkx.ckf --events 500 --seed 3 --tracks ckf.parquet
    python -m exatrkx.validate t0.parquet --tracks CKF ckf.parquet --output report.md --plots plots
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
from exatrkx.validation import validate
from exatrkx.validation.finders import NETWORKS, direct, saved, served
from exatrkx.validation.images import image_lines
from exatrkx.validation.judged import Judged, Sample
from exatrkx.validation.report import markdown
from exatrkx.validation.table_file import write_table
from exatrkx.working_point import WEIGHTS_DIR

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from exatrkx.validation.finders import Finder

TABLE_SUFFIX: Final = ".csv"
NO_FILE: Final = "-"


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
    add(
        "--tracks",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "FILE"),
        help="judge saved tracks, too: what found them, then a file for each sample, in the samples' order, or "
        f"{NO_FILE} for a sample without. May be given several times",
    )
    add("--no-networks", action="store_true", help="judge the saved tracks alone")
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
    _require_sense_of_tracks(parser, options, names)
    if options.server and (options.weights or options.device):
        parser.error("--weights and --device are of the direct call: a server has its own")
    if options.model and not options.server:
        parser.error("--model is of a server: name it with --server URL")
    if options.output and options.output.suffix == TABLE_SUFFIX:
        parser.error(f"--output is the Markdown report; its bins go to the {TABLE_SUFFIX} file of the same name")


def _require_sense_of_tracks(
    parser: argparse.ArgumentParser, options: argparse.Namespace, samples: Sequence[str]
) -> None:
    for name, *files in options.tracks:
        if len(files) != len(samples):
            parser.error(
                f"--tracks {name}: expected a file for each of {len(samples)} samples ({', '.join(samples)}), or "
                f"{NO_FILE} for one without, found {len(files)}"
            )
    names = [*([] if options.no_networks else [NETWORKS]), *(name for name, *_ in options.tracks)]
    if len(set(names)) < len(names):
        parser.error(f"finders must have different names, found {', '.join(names)}")
    if options.no_networks and not options.tracks:
        parser.error("--no-networks leaves nothing to judge: name tracks with --tracks NAME FILE")
    if options.no_networks and (options.server or options.weights or options.device):
        parser.error("--server, --weights and --device are of the networks, which --no-networks leaves out")


def samples_of(options: argparse.Namespace) -> list[Sample]:
    """The samples in the order in which they were named; files without a name have those of the files."""
    unnamed = [Sample(", ".join(Path(path).name for path in options.events), tuple(options.events))]
    return (unnamed if options.events else []) + [Sample(name, tuple(paths)) for name, *paths in options.sample]


def networks_of(options: argparse.Namespace) -> AbstractContextManager[Finder | None]:
    """What the networks are called by: a server, the pipeline in this process, or nothing."""
    if options.no_networks:
        return nullcontext(None)
    if options.server:
        return served(options.server, options.model or ENSEMBLE.name)
    from exatrkx.pipeline import Pipeline  # noqa: PLC0415 - judging other tracks needs no torch

    return nullcontext(direct(Pipeline.from_weights(options.weights or WEIGHTS_DIR, options.device or "cpu")))


def judge(options: argparse.Namespace) -> str:
    """Do what the options ask for. Returns the report.

    Raises:
        ExatrkxError, OSError, ValueError: events, networks, server, tracks or outputs are not as they should be.
    """
    if options.plots:
        # Here, because matplotlib takes a while; first, because a missing mplhep is better known before the wait.
        from exatrkx.plot_style import settings  # noqa: PLC0415

        settings()
    judged = judge_all(options)
    report = markdown(judged, _drawn(judged, options))
    if options.output:
        with options.output.open("a", encoding="utf-8") as file:
            file.write(report)
        write_table(options.output.with_suffix(TABLE_SUFFIX), judged)
    return report


def judge_all(options: argparse.Namespace) -> list[Judged]:
    """Every finder in every sample, in the order of the samples, the networks first.

    Raises:
        ExatrkxError, OSError, ValueError: events, networks, server or tracks are not as they should be.
    """
    samples = samples_of(options)
    totals = {sample: count_events(sample.paths) for sample in samples}  # a missing file is told before the wait, too
    judged: dict[tuple[Sample, str], Judged] = {}
    with networks_of(options) as networks:
        # Saved tracks first: they take no time to judge, and those of other events are better known before the wait.
        for name, *files in options.tracks:
            for sample, file in zip(samples, files, strict=True):
                if file != NO_FILE:
                    with saved(name, Path(file)) as finder:
                        judged[sample, name] = judge_one(finder, sample, totals[sample])
        if networks is not None:
            judged |= {(sample, NETWORKS): judge_one(networks, sample, totals[sample]) for sample in samples}
    order = (NETWORKS, *(name for name, *_ in options.tracks))
    return [judged[sample, name] for sample in samples for name in order if (sample, name) in judged]


def judge_one(finder: Finder, sample: Sample, total: int) -> Judged:
    """One finder in one sample of so many events; the cost is that of the first event that has spacepoints.

    Raises:
        ExatrkxError, ValueError: as `exatrkx.validation.validate`.
    """
    progress = tqdm(read_events(sample.paths), total=total, unit="event", desc=f"{sample.name}, {finder.name}")
    result = validate(finder, progress)
    example = next((event for event in read_events(sample.paths) if len(event)), None) if finder.cost else None
    cost = finder.cost(example) if finder.cost and example else ()
    return Judged(sample=sample, finder=finder, result=result, cost=cost)


def _drawn(judged: Sequence[Judged], options: argparse.Namespace) -> dict[str, str]:
    """Draw the plots if they are asked for. Returns the lines of the report that show them."""
    if not options.plots:
        return {}
    from exatrkx.validation.plots import captions, write_plots  # noqa: PLC0415 - matplotlib takes a while

    folder = options.output.parent if options.output else Path()
    return image_lines(write_plots(judged, options.plots), captions(judged), folder)


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
