"""Event display command: draw an event's spacepoints and the tracks found in them.

exatrkx display data/events.parquet tracks.parquet --event 3 --output display.png
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from exatrkx.commands import command_parser, run_command
from exatrkx.contract import NOISE_LABEL
from exatrkx.errors import EventFormatError
from exatrkx.events.columns import ColumnMapping, add_columns_argument, mapping_of
from exatrkx.events.event import Event
from exatrkx.events.readers import input_files, read_events
from exatrkx.events.saved_tracks import read_labels
from exatrkx.files import check_outputs


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command("event_display.py", lambda: display(parser().parse_args(arguments)))


def display(options: argparse.Namespace) -> None:
    """Draw the event that the command line asks for, and say what is in it.

    Raises:
        ExatrkxError: events, tracks or output are not as they should be; the text gives the reason.
    """
    from exatrkx_client.event_figure import draw, save  # noqa: PLC0415 - `--help` needs no matplotlib

    check_outputs([options.output], [*input_files(options.events), options.tracks])
    event = find_event(options.events, options.event, mapping_of(options))
    labels = read_labels(options.tracks, event)
    save(draw(event, labels), options.output)
    tracks = int(labels.max(initial=NOISE_LABEL)) + 1
    print(f"{options.output}: event {event.event_id}, {len(event):,} spacepoints, {tracks:,} tracks")


def find_event(paths: Sequence[str], number: int | None, columns: ColumnMapping | None = None) -> Event:
    """The event with this number, or the first one where none is asked for.

    Raises:
        EventFormatError: it is not among the files' events.
    """
    seen = 0
    for event in read_events(paths, columns=columns):
        if number is None or event.event_id == number:
            return event
        seen += 1
    raise EventFormatError(f"{', '.join(map(str, paths))}: no event {number} among {seen}")


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    command = command_parser(
        "event_display.py",
        "Draw an event's spacepoints and the tracks found in them.",
        "exatrkx display events.parquet tracks.parquet --output event.png",
    )
    command.add_argument("events", nargs="+", help="files, folders or patterns of events")
    add_columns_argument(command)
    command.add_argument("tracks", type=Path, help="what was found in them, as .parquet or .csv")
    command.add_argument("--event", type=int, help="the event's number (default: the first)")
    command.add_argument(
        "--output", type=Path, default=Path("display.png"), help="default: %(default)s; .pdf works, too"
    )
    return command


if __name__ == "__main__":
    sys.exit(main())
