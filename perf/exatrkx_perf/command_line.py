"""Command-line options that several commands share, and the exit codes of all of them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from exatrkx import commands
from exatrkx.commands import add_version, at_least, epilog_of
from exatrkx.errors import ExitCode
from exatrkx_client.address import Address
from exatrkx_perf import EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable

positive = at_least(int, 1)
"""A whole number of at least 1."""


def parser_of(description: str | None, *examples: str, notes: str = "") -> argparse.ArgumentParser:
    """A parser whose help is a script's docstring as it is written, with examples, exit codes and `--version`."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=description, formatter_class=form, epilog=epilog_of(examples, notes))
    add_version(parser)
    return parser


def run_command(
    script: str, command: Callable[[argparse.Namespace], int], parse: Callable[[], argparse.Namespace]
) -> int:
    """Exit code of a command: its own, or that of an error, which is reported in one line; see `exatrkx.commands`.

    Args:
        script: file name in front of an error.
        command: what is run with the options.
        parse: reads them from the command line.
    """
    return commands.run_command(script, lambda: ExitCode(command(parse())))


def add_event_arguments(parser: argparse.ArgumentParser) -> None:
    """Which events: EVENTS…, --limit and --spacepoints."""
    parser.add_argument(
        "events", nargs="*", default=[EVENTS], help="files, folders or patterns of events (default: the bundled tt̄)"
    )
    parser.add_argument("--limit", type=positive, help="no more than this many events")
    parser.add_argument("--spacepoints", type=size_range, metavar="LOW:HIGH", help="only events of this size")


def size_range(text: str) -> tuple[int, int]:
    """`LOW:HIGH` as two numbers."""
    low, _, high = text.partition(":")
    bounds = int(low or 0), int(high)
    if bounds[0] > bounds[1]:
        raise argparse.ArgumentTypeError(f"the first of {text} must not be larger than the second")
    return bounds


def server_address(text: str) -> Address:
    """A server's address; see `exatrkx_client.address`."""
    try:
        return Address.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def list_of(one: Callable[[str], object], choices: tuple[str, ...] = ()) -> Callable[[str], tuple[object, ...]]:
    """A reader of values with commas between them, each once and in the order given."""

    def read(text: str) -> tuple[object, ...]:
        words = [word.strip() for word in text.split(",") if word.strip()]
        wrong = [word for word in words if choices and word not in choices]
        if wrong or not words:
            raise argparse.ArgumentTypeError(f"{', '.join(wrong) or 'nothing'}: known are {', '.join(choices)}")
        return tuple(dict.fromkeys(one(word) for word in words))

    read.__name__ = "list"  # what argparse calls it when it is none
    return read
