"""`python -m exatrkx_acts`: simulate, find the tracks on a server, fit them with ACTS, and let ACTS score them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from exatrkx.ckf.settings import SETTINGS
from exatrkx.commands import at_least, command_parser, run_command
from exatrkx.files import check_outputs
from exatrkx.progress import bar
from exatrkx.run_settings import keep_settings
from exatrkx.simulation.arguments import add_sample_arguments, event_numbers, parse_with_settings, sample_of
from exatrkx_client.arguments import add_client_arguments, add_fallback_argument, check_client_arguments, client_of
from exatrkx_client.client import TrackingClient
from exatrkx_client.errors import ClientError
from exatrkx_client.fallback import Fallback, FallbackName

READY_S: Final = 10.0
"""How long a server may take to be ready, in s, where nothing takes its place."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command("exatrkx_acts", lambda: run(parse(arguments)))


def run(options: argparse.Namespace) -> None:
    """Do what the command line asks for.

    Raises:
        ExatrkxError, OSError: a step failed, or the folder cannot be written to; the text gives the reason.
    """
    from exatrkx.simulation.detector import SPACEPOINTS  # noqa: PLC0415 - `--help` needs neither Pythia 8 nor ACTS
    from exatrkx_acts.chain import PROTO_TRACKS, run_chain  # noqa: PLC0415
    from exatrkx_acts.finding import ServedTrackFinding  # noqa: PLC0415
    from exatrkx_acts.report import report  # noqa: PLC0415
    from exatrkx_acts.tables import write_tables  # noqa: PLC0415

    if options.output is not None:
        from exatrkx.reporting.plot_style import settings as plot_settings  # noqa: PLC0415 - neither does it need matplotlib
        from exatrkx_acts.plots import write_plots  # noqa: PLC0415

        plot_settings()  # that plots cannot be drawn is told before the events are made
        check_outputs([options.output / "tracks.csv"])
    service = {}
    with client_of(options) as client, bar(total=options.events) as progress:
        if options.fall_back is None and not options.skip_failed:
            client.wait_until_ready(READY_S)
            client.check_contract()
        if options.output is not None:
            service = identity_of(client, options.fall_back)
        finding = ServedTrackFinding(
            client,
            inputSpacePoints=SPACEPOINTS,
            outputProtoTracks=PROTO_TRACKS,
            fallback=options.fall_back,
            skipFailed=options.skip_failed,
        )
        finding.event_done = progress.update
        ckf = SETTINGS[options.ckf] if options.ckf else None
        found = run_chain(options.settings, finding, event_numbers(options), options.threads, ckf)
    print(report(found, finding.tally))
    if options.output is not None:
        title = f"{options.process}, µ = {options.pileup:g}, {options.events} events, {options.model}"
        title += f", {options.detector} detector"
        written = [*write_tables(found, options.output), *write_plots(found, options.output, title)]
        print(f"written:     {', '.join(map(str, written))}")
        run = {name: getattr(options, name) for name in ("events", "ckf", "fall_back", "skip_failed")}
        keep_settings({**run, **sample_of(options), **service}, options.output)


def identity_of(client: TrackingClient, fall_back: FallbackName | None) -> dict[str, str]:
    """Identity of the service, of the fallback where no server answers, or, without one, the model's name."""
    try:
        return client.identity()
    except ClientError:
        return Fallback(fall_back).identity(client.model) if fall_back else {"model": client.model}


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line's options."""
    parser = command_parser(
        "python -m exatrkx_acts",
        "Simulate the events that `python -m exatrkx.simulation` makes with the same options, find their "
        "tracks on a server, fit these with the Kalman filter of ACTS, and print efficiency, residuals and pulls as "
        "ACTS counts them.",
        "exatrkx acts --events 20 --threads 2 --url 127.0.0.1:8001 --output out/acts",
        defaults=True,
    )
    add_sample_arguments(parser)
    add = parser.add_argument
    add("--threads", type=at_least(int, 1), default=1, metavar="T", help="of ACTS; as many events are in flight")
    add_client_arguments(parser)
    add("--attempts", type=at_least(int, 1), metavar="A", help="most attempts for a server that is away")
    add_fallback_argument(parser)
    add("--skip-failed", action="store_true", help="leave events without tracks out, instead of ending the run")
    add("--ckf", choices=SETTINGS, help="find the tracks of ACTS's CKF, with these settings, beside the server's")
    add("--output", type=Path, metavar="DIR", help="folder for tables (CSV) and plots (PNG)")
    options = parse_with_settings(parser, arguments)
    check_client_arguments(parser, options)
    return options


if __name__ == "__main__":
    sys.exit(main())
