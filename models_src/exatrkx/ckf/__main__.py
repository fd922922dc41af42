"""CKF command, `python -m exatrkx.ckf`: tracks of simulated events by ACTS's CKF, and a report of how good they are."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from exatrkx.ckf.settings import SETTINGS
from exatrkx.commands import command_parser, run_command
from exatrkx.events.tracks import TracksWriter
from exatrkx.files import check_outputs, with_appended, write_files
from exatrkx.journal import Journal
from exatrkx.progress import bar
from exatrkx.run_settings import keep_settings
from exatrkx.simulation.arguments import (
    add_event_arguments,
    add_resume,
    event_numbers,
    parse_with_settings,
    sample_of,
)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = command_parser(
        "python -m exatrkx.ckf",
        "Simulate the events that `python -m exatrkx.simulation` makes with the same options, find their "
        "tracks with the combinatorial Kalman filter of ACTS, and evaluate them as `exatrkx.validate` does.",
        "exatrkx ckf --events 500 --seed 3 --tracks ckf.parquet",
        defaults=True,
    )
    add_event_arguments(parser)
    add_resume(parser, "--tracks")
    parser.add_argument("--settings", dest="ckf", choices=SETTINGS, default="tuned", help="of the filter")
    parser.add_argument("--output", type=Path, help="append the report to this Markdown file too")
    parser.add_argument(
        "--tracks",
        type=Path,
        help="write the tracks, one row for each spacepoint, with the event's seconds: .parquet or .csv, which "
        "exatrkx.validate --tracks takes",
    )
    options = parse_with_settings(parser, arguments)
    if options.resume and not options.tracks:
        parser.error("--resume is of --tracks FILE")
    return options


def find(options: argparse.Namespace) -> None:
    """Do what the command line asks for.

    Raises:
        ExatrkxError, OSError: simulation or output failed; the text gives the reason.
    """
    from exatrkx.ckf.figures import CkfFigures  # noqa: PLC0415 - Pythia 8 and ACTS; `--help` needs none
    from exatrkx.ckf.reconstruction import Reconstructed, packed, reconstruct, unpacked  # noqa: PLC0415

    numbers, run = event_numbers(options), {**sample_of(options), "ckf": options.ckf}
    figures = CkfFigures()

    def found_in(left: range) -> Iterator[Reconstructed]:
        return reconstruct(options.settings, SETTINGS[options.ckf], left, options.workers)

    outputs = [path for path in (options.tracks, options.output) if path]
    check_outputs(outputs)
    with ExitStack() as stack:
        events, writer = found_in(numbers), None
        if options.tracks:
            journal = stack.enter_context(Journal(options.tracks, run, resume=options.resume))
            writer = stack.enter_context(TracksWriter(options.tracks, timed=True))
            events = journal.resumed(numbers, found_in, packed, unpacked)
        for found in bar(events, total=len(numbers)):
            figures.add(found)
            if writer:
                writer.write(found.event, found.labels, sum(found.seconds.values()))
    report = figures.markdown(
        f"ACTS CKF, settings `{options.ckf}`; {options.process}, µ = {options.pileup:g}, seed {options.seed}; "
        f"{options.settings.detector}"
    )
    print(report)
    if options.output:
        write_files(with_appended(options.output, report))
    keep_settings({"events": options.events, **run}, *outputs)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command("ckf", lambda: find(parse(arguments)))


if __name__ == "__main__":
    raise SystemExit(main())
