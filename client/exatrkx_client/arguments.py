"""Command-line options of every command that asks a server for tracks, and the client that they describe."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final, get_args

from exatrkx.commands import at_least
from exatrkx.contract import CUSTOM, ENSEMBLE
from exatrkx_client.address import Address, Protocol
from exatrkx_client.client import TrackingClient
from exatrkx_client.credentials import Credentials, add_credentials_arguments
from exatrkx_client.fallback import FallbackName
from exatrkx_client.metrics import ClientMetrics
from exatrkx_client.retry import Retry
from exatrkx_client.server_list import ServerListError, read_server_list

DEFAULT_URL: Final = "127.0.0.1:8001"


def add_client_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--url`, `--servers`, `--model`, `--protocol`, `--timeout`, `--retry-for`, and the files of credentials."""
    add = parser.add_argument
    add(
        "--url",
        action="append",
        default=argparse.SUPPRESS,  # a list with the default in it would be added to
        help="host:port, grpc://… or http://…; given again for each of several servers, which share the events "
        f"(default: {DEFAULT_URL})",
    )
    add(
        "--servers",
        type=Path,
        metavar="FILE",
        help="ask the servers, too, that `exatrkx serve --ports-file FILE` lists there, with or without --gpus",
    )
    add(
        "--model",
        default=ENSEMBLE.name,
        help=f"{ENSEMBLE.name}, {CUSTOM.name}, or one with the same tensors (default: %(default)s)",
    )
    add(
        "--protocol",
        choices=get_args(Protocol),
        help="by default what the URL says; without a scheme HTTP on port 8000, else gRPC",
    )
    add(
        "--timeout",
        type=at_least(float, 0.001),
        default=60.0,
        metavar="S",
        help="seconds for one attempt at an event (default: %(default)g)",
    )
    add(
        "--retry-for",
        type=at_least(float, 0),
        default=Retry().for_s,
        metavar="S",
        help="seconds in which an event is sent again while no server is available; a restart takes some ten "
        "(default: %(default)g)",
    )
    add_credentials_arguments(parser)


def add_fallback_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--fall-back`; its value is for `client_of`, or for who falls back by itself."""
    parser.add_argument(
        "--fall-back",
        "--fallback",
        choices=get_args(FallbackName),
        help="what finds the tracks when no server does: the pipeline in this process, with the networks of this "
        "package; needs exatrkx[torch]",
    )


def add_metrics_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--metrics`."""
    parser.add_argument(
        "--metrics",
        type=Path,
        metavar="FILE.prom",
        help="write latencies, retries and who answered there, for Prometheus's node exporter (textfile collector)",
    )


def check_client_arguments(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Fill in the listed and the default address; end with a usage error where an address is none."""
    listed: list[str] = []
    if options.servers:
        try:
            listed = [server.grpc_url for server in read_server_list(options.servers)]
        except ServerListError as error:
            parser.error(f"--servers: {error}")
    options.url = getattr(options, "url", []) + listed or [DEFAULT_URL]
    try:
        Address.parse_all(options.url, options.protocol)
    except ValueError as error:
        parser.error(f"--url: {error}")


def client_of(options: argparse.Namespace, fallback: FallbackName | None = None) -> TrackingClient:
    """The client that the options describe, with a fallback where one is given.

    Raises:
        ExatrkxError: the fallback needs what is not installed, or a file of credentials does not fit.
    """
    retry = Retry(for_s=options.retry_for, attempts=getattr(options, "attempts", None))
    return TrackingClient(
        options.url,
        options.model,
        options.protocol,
        options.timeout,
        retry,
        fallback=fallback,
        metrics=ClientMetrics(path, options.model) if (path := getattr(options, "metrics", None)) else None,
        credentials=Credentials.from_environment(options),
    )
