"""Command-line options of `python -m exatrkx.validate`, and what they must not say together."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exatrkx.commands import add_version, program
from exatrkx.contract import CUSTOM, ENSEMBLE
from exatrkx.validation.evaluation import Sample
from exatrkx.validation.finders import NETWORKS

if TYPE_CHECKING:
    from collections.abc import Sequence

TABLE_SUFFIX: Final = ".csv"
NO_FILE: Final = "-"


def parse(description: str, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; what contradicts itself ends the program with a message."""
    parser = argparse.ArgumentParser(prog=program("python -m exatrkx.validate"), description=description)
    add_version(parser)
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
        help="evaluate saved tracks, too: what found them, then a file for each sample, in the samples' order, or "
        f"{NO_FILE} for a sample without. May be given several times",
    )
    add("--no-networks", action="store_true", help="evaluate the saved tracks alone")
    add("--weights", type=Path, help="folder of networks and working point (default: the committed ones)")
    add(
        "--working-point", type=Path, metavar="FILE", help="another one than the folder's, such as one for high pile-up"
    )
    add("--device", help="of the direct call (default: cpu)")
    add("--server", metavar="URL", help="take the tracks from this server; host:port, grpc://… or http://…")
    add("--model", help=f"of the server: {ENSEMBLE.name} (default), {CUSTOM.name}, or one with the same tensors")
    add("--output", type=Path, help="append the report to this Markdown file, and write its bins as CSV beside it")
    add(
        "--plots",
        type=Path,
        metavar="FOLDER",
        help="draw efficiencies and rates as PNG, which the report shows (needs mplhep)",
    )
    options = parser.parse_args(arguments)
    _require_sense(parser, options)
    return options


def _require_sense(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if not options.events and not options.sample:
        parser.error("no events: name files, or samples with --sample NAME EVENTS…")
    if any(not paths for _, *paths in options.sample):
        parser.error("--sample needs a name and then files: --sample 'µ = 40' mu40.parquet")
    names = [sample.name for sample in named_samples(options)]
    if len(set(names)) < len(names):
        parser.error(f"samples must have different names, found {', '.join(names)}")
    _require_sense_of_tracks(parser, options, names)
    if options.server and _of_direct_call(options):
        parser.error("--weights, --working-point and --device are of the direct call: a server has its own")
    if options.model and not options.server:
        parser.error("--model is of a server: name it with --server URL")
    if options.output and options.output.suffix == TABLE_SUFFIX:
        parser.error(f"--output is the Markdown report; its bins go to the {TABLE_SUFFIX} file of the same name")


def _of_direct_call(options: argparse.Namespace) -> bool:
    return bool(options.weights or options.device or options.working_point)


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
    if options.no_networks and all(file == NO_FILE for _, *files in options.tracks for file in files):
        parser.error("--no-networks leaves nothing to evaluate: name tracks with --tracks NAME FILE")
    if options.no_networks and (options.server or _of_direct_call(options)):
        parser.error(
            "--server, --weights, --working-point and --device are of the networks, which --no-networks leaves out"
        )


def named_samples(options: argparse.Namespace) -> list[Sample]:
    """The samples in the order in which they were named; files without a name have those of the files."""
    unnamed = [Sample(", ".join(Path(path).name for path in options.events), tuple(options.events))]
    return (unnamed if options.events else []) + [Sample(name, tuple(paths)) for name, *paths in options.sample]
