"""Command-line conventions that all commands share: names, exit codes, one line for an error, `--version`, files."""

from __future__ import annotations

import argparse
import importlib
import io
import math
import os
import re
import select
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Self, TextIO

from exatrkx import __version__
from exatrkx.errors import ExatrkxError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType, ModuleType

EXIT_CODES: Final = (
    "Exit codes: 0 done, 1 failed, 2 the command line or a file that it names is at fault, "
    "3 a server that was asked cannot be reached or fails, 130 interrupted, "
    "141 nobody reads the output, 143 terminated."
)
"""`exatrkx.errors.ExitCode` for the last lines of a `--help`."""


ALL: Final = "exatrkx"
"""The command whose subcommands are all others; see `exatrkx.__main__`."""

_EXTRAS: Final = {
    "display": ("matplotlib",),
    "torch": ("torch", "torch_geometric", "safetensors", "scipy"),
    "simulate": ("acts", "pythia8mc"),
    "formats": ("uproot", "awkward", "h5py"),
    "batch": ("distributed", "dask_jobqueue"),
    "perf": ("psutil", "mplhep", "sklearn", "faiss"),
}
"""Extras of the package, and the modules of what each of them brings."""


def program(name: str) -> str:
    """The name of a running command for its user: `exatrkx …` where that runs it, as `sys.argv[0]` then says.

    Args:
        name: of the script or module that runs it else.
    """
    typed = sys.argv[0]
    return typed if typed.startswith(f"{ALL} ") else name


def run_command(name: str, work: Callable[[], object]) -> int:
    """Exit code of a command's work; of a failure a line of standard error gives the reason.

    A reason is what a person, a file, a disk, a network or a signal does; its notes (`add_note`) follow it in the line.
    A bug keeps its traceback. SIGINT and SIGTERM end the work by an exception, unless the command handles them itself.

    Args:
        name: of the command, unless it is run by `exatrkx`; see `program`.
        work: what it does; may return an `ExitCode` of its own.
    """
    name = program(name)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal may not know every letter, nor a file's name be text
        sys.stdout.reconfigure(errors="backslashreplace")
    with StopSignals() as signals, _nothing_left():
        try:
            try:
                result = work()
            except SystemExit:  # of --help, too
                _flush()
                raise
            _flush()
        except BaseException as error:
            # A library may have made another error of the signal's.
            reason = _reason(_STOPS[signals.received]() if signals.received else error)
            if reason is None:
                raise
            _tell(name, reason[1], *getattr(error, "__notes__", ()), is_list=getattr(error, "is_list", False))
            return reason[0]
    return result if isinstance(result, ExitCode) else ExitCode.DONE


def run_module(name: str, module: str, arguments: Sequence[str] | None = None) -> int:
    """Exit code of a command whose module is imported first, so that what disturbs that is told in one line, too.

    Args:
        name: of the command, as `run_command` takes it.
        module: whose `main` takes the arguments, runs in `run_command` itself, and returns the exit code.
        arguments: the words after the command; None for those of `sys.argv`.
    """
    loaded: list[ModuleType] = []
    code = run_command(name, lambda: loaded.append(importlib.import_module(module)))
    return code or int(loaded[0].main(arguments))


def _flush() -> None:
    """Bring out what was printed: here, and not when Python ends, so that a full disk or a closed pipe is told."""
    if sys.stdout is not None:
        sys.stdout.flush()


@contextmanager
def _nothing_left() -> Iterator[None]:
    """After the `with` nothing is left to write that Python would try again at its end, and complain of."""
    try:
        yield
    finally:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            try:
                stream.flush()
            except OSError:
                _discard(stream)


def _discard(stream: TextIO) -> None:
    """Let what is left to write to a stream go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class Terminated(KeyboardInterrupt):
    """SIGTERM, as an exception that `except Exception` lets pass."""


class StopSignals:
    """SIGINT and SIGTERM as exceptions within a `with`, and which of them came; handlers of others are left alone."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                    self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        first, self.received = self.received is None, signal.Signals(number)
        if first or number == signal.SIGINT:  # a second SIGTERM must not cut the clean end short
            raise _STOPS[number]


_STOPS: Final[dict[int, type[KeyboardInterrupt]]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


def _reason(error: BaseException) -> tuple[ExitCode, str] | None:
    """Exit code and text of an error that is a reason; None of a bug, and of what ends Python."""
    code, text = ExitCode.FAILED, str(error)
    match error:
        case Terminated():
            code, text = ExitCode.TERMINATED, "terminated"
        case KeyboardInterrupt():
            code, text = ExitCode.INTERRUPTED, "interrupted"
        case ModuleNotFoundError():
            module = (error.name or "").partition(".")[0]
            extra = next((extra for extra, modules in _EXTRAS.items() if module in modules), None)
            if extra is None:
                return None
            text += f": pip install '{ALL}[{extra}]'"
        case ExatrkxError():
            code = error.exit_code
        case BrokenPipeError() if _is_closed(sys.stdout):
            code, text = ExitCode.CLOSED_PIPE, ""
        case MemoryError():
            text = f"out of memory: {text}" if text else "out of memory"
        case OSError():
            text = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else text
        case _:
            return None
    return code, text


def _is_closed(stream: TextIO | None) -> bool:
    """Whether nobody reads a stream any more. What is left to write to it then goes nowhere, without a complaint."""
    try:
        descriptor = stream.fileno() if stream else None
    except OSError:  # not one of the system's
        descriptor = None
    if descriptor is None:
        return False
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    closed = any(events & select.POLLERR for _, events in poll.poll(0))
    if closed and stream:
        _discard(stream)
    return closed


def _tell(name: str, *texts: str, is_list: bool) -> None:
    """One line on standard error, of a list several; none where there is nothing to tell."""
    lines = [line for text in texts for line in text.splitlines() if line.strip()]
    told = "\n".join(lines) if is_list else "; ".join(map(str.strip, lines))
    if told:
        with suppress(OSError):
            print(f"{name}: {told}", file=sys.stderr)
    _is_closed(sys.stderr)


def command_parser(
    name: str, description: str | None, *examples: str, notes: str = "", defaults: bool = False
) -> argparse.ArgumentParser:
    """A command's parser, with `--version`, and with examples and exit codes at the end of its `--help`.

    Args:
        name: as `program` takes it.
        description: paragraphs; indented ones stay as they are.
        examples: lines as they are typed.
        notes: another paragraph.
        defaults: tell the default of each option.
    """
    form = _HelpWithDefaults if defaults else _Help
    parser = argparse.ArgumentParser(
        prog=program(name), description=description, formatter_class=form, epilog=epilog_of(examples, notes)
    )
    add_version(parser)
    return parser


def epilog_of(examples: Sequence[str], notes: str = "") -> str:
    """The end of a `--help`: examples, a line each, notes, and the exit codes."""
    lines = "\n".join(f"    {line}" for line in examples)
    return "\n\n".join(part for part in ("Examples:" if lines else "", lines, notes, EXIT_CODES) if part)


class _Help(argparse.HelpFormatter):
    """Fills paragraphs, but for those that are indented."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill = super()._fill_text
        paragraphs = re.split(r"\n\n+", text.strip("\n"))
        return "\n\n".join(one if one.startswith("    ") else fill(one, width, indent) for one in paragraphs)


class _HelpWithDefaults(_Help, argparse.ArgumentDefaultsHelpFormatter):
    """The same, with each option's default."""


def add_version(parser: argparse.ArgumentParser) -> None:
    """Add the option `--version`."""
    parser.add_argument("--version", action="version", version=f"exatrkx {__version__}")


def at_least(kind: type[int] | type[float], least: float, most: float = math.inf) -> Callable[[str], float]:
    """A reader of an option's number, not below `least` and not above `most`, for argparse; an integer has 64 bits."""
    if kind is int:
        most = min(most, sys.maxsize)

    def read(text: str) -> float:
        value = kind(text)
        if not value >= least:
            raise argparse.ArgumentTypeError(f"must be at least {least:g}, found {text}")
        if value > most:
            raise argparse.ArgumentTypeError(f"must be at most {most:g}, found {text}")
        return value

    read.__name__ = "number"  # what argparse calls it when it is none
    return read
