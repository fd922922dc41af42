"""Event display command: draw an event's spacepoints and the tracks found in them.

exatrkx display data/events.parquet tracks.parquet --event 3 --output event.html
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from exatrkx.commands import command_parser, run_command
from exatrkx.contract import NOISE_LABEL
from exatrkx.errors import EventFormatError
from exatrkx.events.columns import ColumnMapping, add_columns_argument, mapping_of
from exatrkx.events.readers import input_files, read_events
from exatrkx.events.saved_tracks import read_labels
from exatrkx.files import check_outputs, write_files
from exatrkx.run_settings import keep_settings
from exatrkx_client.arguments import add_client_arguments, add_fallback_argument, check_client_arguments, client_of
from exatrkx_client.event_page import candidate_scores, event_page
from exatrkx_client.event_scene import scene_of
from exatrkx_client.phoenix import phoenix_json

if TYPE_CHECKING:
    import numpy.typing as npt

    from exatrkx.events.event import Event, IntArray


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command("event_display.py", lambda: display(parse(arguments)))


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; see `--help`."""
    command = parser()
    options = command.parse_args(arguments)
    if options.scores and options.output.suffix != ".html":
        command.error("--scores is of a page: --output NAME.html")
    check_client_arguments(command, options)
    return options


def display(options: argparse.Namespace) -> None:
    """Draw the event that the command line asks for, and say what is in it.

    Raises:
        ExatrkxError: events, tracks or output are not as they should be; the text gives the reason.
    """
    if options.output.suffix not in {".html", ".json"}:  # first: what matplotlib lacks is told at once
        from exatrkx_client.event_figure import draw, save  # noqa: PLC0415 - others do without it

    check_outputs([options.output], [*input_files(options.events), options.tracks])
    event = find_event(options.events, options.event, mapping_of(options))
    labels = read_labels(options.tracks, event)
    match options.output.suffix:
        case ".html":
            names = [", ".join(Path(file).name for file in options.events), options.tracks.name]
            write_files({options.output: event_page(scene_of(event, labels), names, _scores(options, event, labels))})
        case ".json":
            write_files({options.output: phoenix_json(scene_of(event, labels))})
        case _:
            save(draw(event, labels), options.output)
    tracks = len(np.unique(labels[labels > NOISE_LABEL]))
    print(f"{options.output}: event {event.event_id}, {len(event):,} spacepoints, {tracks:,} tracks")
    drawn = {name: getattr(options, name) for name in ("events", "columns", "tracks")}
    keep_settings({**drawn, "event": event.event_id, "scores of": options.scores and options.model}, options.output)


def _scores(options: argparse.Namespace, event: Event, labels: IntArray) -> npt.NDArray[np.float32] | None:
    """[C] the score of each candidate where a server is to be asked for it."""
    if not options.scores:
        return None
    with client_of(options, options.fall_back) as client:
        result = client.find_tracks(event, with_edges=True)
    assert result.edge_index is not None
    assert result.edge_scores is not None
    return candidate_scores(labels, result.edge_index, result.edge_scores)


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
        "exatrkx display events.parquet tracks.parquet --output event.html",
    )
    command.add_argument("events", nargs="+", help="files, folders or patterns of events")
    add_columns_argument(command)
    command.add_argument("tracks", type=Path, help="what was found in them: .parquet, .csv or .root")
    command.add_argument("--event", type=int, help="the event's number (default: the first)")
    command.add_argument(
        "--output",
        type=Path,
        default=Path("display.png"),
        help="default: %(default)s, and .svg and .pdf: a figure; .html: a page in which to turn the event, with truth "
        "where there is any; .json: event data of Phoenix",
    )
    command.add_argument(
        "--scores",
        action="store_true",
        help="ask a server for the edges' scores, too, by which a page then colours the candidates",
    )
    add_client_arguments(command)
    add_fallback_argument(command)
    return command


if __name__ == "__main__":
    sys.exit(main())
