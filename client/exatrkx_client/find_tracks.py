"""Track finding command: send files of events to a server, write its tracks, and print what was found.

exatrkx find data/event*-hits.csv --url 127.0.0.1:8001 --output tracks.parquet
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, nullcontext
from itertools import chain, islice
from pathlib import Path
from typing import get_args

from exatrkx.commands import at_least, command_parser, program, run_command
from exatrkx.errors import EventFormatError
from exatrkx.events.columns import add_columns_argument, mapping_of
from exatrkx.events.event import Event
from exatrkx.events.readers import count_events, event_files, input_files, read_events
from exatrkx.events.tracks import Layout, Per, TracksWriter, require_suffix
from exatrkx.files import check_outputs
from exatrkx.fitting.settings import FitSettings, add_fit_arguments, fit_settings_of
from exatrkx.journal import Journal
from exatrkx.progress import bar
from exatrkx.run_settings import keep_settings
from exatrkx_client.arguments import (
    add_client_arguments,
    add_fallback_argument,
    add_metrics_argument,
    check_client_arguments,
    client_of,
)
from exatrkx_client.client import TrackingClient
from exatrkx_client.report import Report
from exatrkx_client.resumable import find_resumable


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command("find_tracks.py", lambda: find_tracks(parse(arguments)))


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; what contradicts itself ends the program with a message."""
    command = parser()
    options = command.parse_args(arguments)
    if options.resume and options.output is None:
        command.error("--resume is of an output: name it with --output")
    check_client_arguments(command, options)
    options.fit = fit_settings_of(command, options)
    return options


def find_tracks(options: argparse.Namespace) -> None:
    """Do what the command line asks for.

    Raises:
        ExatrkxError: events, output or server are not as they should be; the text gives the reason.
    """
    output, skipped = options.output, Skipped() if options.skip_bad else None
    columns = mapping_of(options)
    if output is not None:
        require_suffix(output, options.layout)
    files = event_files(options.events)
    check_outputs([path for path in (output, options.metrics) if path is not None], input_files(files))
    total = None if options.skip_bad else count_events(files, columns)
    events = islice(read_events(files, skipped, columns), options.limit)
    first = next(events, None)  # a file that cannot be read is told before a server that cannot be reached
    if first is None:
        raise EventFormatError(f"{', '.join(map(str, files))}: no events{'' if skipped is None else f', {skipped}'}")
    with client_of(options, options.fall_back) as client, ExitStack() as kept:
        client.wait_until_ready(options.wait)
        client.check_contract()
        journal, service = None, {} if output is None else client.identity()
        if output is not None:
            journal = kept.enter_context(Journal(output, service, resume=options.resume))
        run(
            client,
            chain([first], events),
            Report(
                with_truth=first.truth is not None,
                in_flight=options.in_flight,
                several=len(client.addresses) > 1 or options.fall_back is not None,
            ),
            output=output,
            per=options.per,
            layout=options.layout,
            fit=options.fit,
            in_flight=options.in_flight,
            total=total if options.limit is None or total is None else min(total, options.limit),
            journal=journal,
            skipped=skipped,
        )
    if output is not None:
        fitted = ("field", "beam") if options.per == "track" else ()
        names = ("events", "columns", "limit", "skip_bad", "per", "layout", *fitted)
        asked = {name: getattr(options, name) for name in names}
        keep_settings({**asked, **service}, output)
    if skipped:
        print(f"{program('find_tracks.py')}: {skipped}", file=sys.stderr)


class Skipped(list[Exception]):
    """Why events were skipped, in the order in which they were; called with each reason."""

    def __call__(self, reason: Exception) -> None:
        self.append(reason)

    def __str__(self) -> str:
        return f"skipped {len(self)}: {'; '.join(' '.join(str(reason).split()) for reason in self)}"


def run(
    client: TrackingClient,
    events: Iterable[Event],
    report: Report,
    *,
    output: Path | None = None,
    per: Per = "spacepoint",
    layout: Layout = "exatrkx",
    fit: FitSettings | None = None,
    in_flight: int = 1,
    total: int | None = None,
    journal: Journal | None = None,
    skipped: Skipped | None = None,
) -> None:
    """Find the tracks of all events, write them to `output` where one is given, and print the report's table."""
    print(report.header())
    seen: set[int] = set()
    began = time.perf_counter()
    with (
        TracksWriter(output, per, layout=layout, fit=fit) if output is not None else nullcontext() as writer,
        bar(total=total) as progress,
    ):
        for event, result in find_resumable(client, events, in_flight, journal, skipped):
            if writer is not None:
                writer.write(event, result.labels)
            progress.write(report.add(event, result), file=sys.stdout)
            progress.update()
            if event.event_id in seen:
                progress.write(f"event {event.event_id} came twice: its rows are mixed in the output", file=sys.stderr)
            seen.add(event.event_id)
    print(report.total(time.perf_counter() - began))
    if output is not None:
        print(f"tracks:     {output}, one row for each {per}")


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    command = command_parser(
        "find_tracks.py",
        "Send events to a server, write the tracks that it finds, and print what was found.",
        "exatrkx find events.parquet --url 127.0.0.1:8001 --output tracks.parquet",
        "exatrkx find hits.root --columns x=sp_x,y=sp_y,z=sp_z,unit=cm --per track --output tracks.csv",
    )
    add = command.add_argument
    add("events", nargs="+", help="files, folders or patterns, in any format of docs/formats.md")
    add_columns_argument(command)
    add_client_arguments(command)
    add_fallback_argument(command)
    add_metrics_argument(command)
    add("--output", type=Path, help="tracks, as .parquet, .csv or .root (default: only the table)")
    add(
        "--per",
        choices=get_args(Per),
        default="spacepoint",
        help="what has a row in the output; a track with its helix fit (default: %(default)s)",
    )
    add_fit_arguments(command)
    add("--layout", choices=get_args(Layout), default="exatrkx", help="columns of the output (default: %(default)s)")
    add(
        "--resume",
        action="store_true",
        help="go on where an interrupted run with the same output ended; events, --model, and the networks and cuts of "
        "the servers must be the same",
    )
    add("--skip-bad", action="store_true", help="leave out events that cannot be read or are refused, and say which")
    add("--in-flight", type=at_least(int, 1), default=1, help="most requests at once (default: %(default)s)")
    add("--limit", type=at_least(int, 1), help="stop after this many events")
    add(
        "--wait",
        type=at_least(float, 0),
        default=10.0,
        help="seconds for the server to be ready (default: %(default)g)",
    )
    return command


if __name__ == "__main__":
    sys.exit(main())
