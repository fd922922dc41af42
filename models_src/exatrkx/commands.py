"""Command-line conventions that all commands share: names, exit codes, one line for an error, `--version`, files."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Final

from exatrkx import __version__
from exatrkx.errors import ExatrkxError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

EXIT_CODES: Final = (
    "Exit codes: 0 done, 1 failed, 2 the command line or a file that it names is at fault, "
    "3 a server that was asked cannot be reached or fails, 130 interrupted, 143 terminated."
)
"""`exatrkx.errors.ExitCode` for the last lines of a `--help`."""


ALL: Final = "exatrkx"
"""The command whose subcommands are all others; see `exatrkx.__main__`."""

_EXTRAS: Final = {
    "display": ("matplotlib",),
    "torch": ("torch", "torch_geometric", "safetensors", "scipy"),
    "simulate": ("acts", "pythia8mc"),
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


def run_command(
    name: str, work: Callable[[], object], expected: tuple[type[Exception], ...] = (ExatrkxError, OSError)
) -> int:
    """Exit code of a command's work; the reason of a failure goes to standard error, after the command's name.

    Args:
        name: of the command, unless it is run by `exatrkx`; see `program`.
        work: what it does; may return an `ExitCode` of its own.
        expected: errors that are a reason, not a bug; a bug keeps its traceback.
    """
    name = program(name)
    try:
        result = work()
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        extra = next((extra for extra, modules in _EXTRAS.items() if module in modules), None)
        if extra is None:
            raise
        print(f"{name}: {error}: pip install '{ALL}[{extra}]'", file=sys.stderr)
        return ExitCode.FAILED
    except expected as error:
        print(f"{name}: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, ExatrkxError) else ExitCode.FAILED
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    return result if isinstance(result, ExitCode) else ExitCode.DONE


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write several files, all of them or none: each beside its place first, then every one renamed.

    Raises:
        OSError: one cannot be written; every file is as it was then.
    """
    unfinished = {path: path.with_name(f".{path.name}.{os.getpid()}.partial") for path in contents}
    try:
        for path, content in contents.items():
            unfinished[path].write_bytes(content)
        for path, whole in unfinished.items():
            whole.replace(path)
    finally:
        for partial in unfinished.values():
            partial.unlink(missing_ok=True)


def add_version(parser: argparse.ArgumentParser) -> None:
    """Add the option `--version`."""
    parser.add_argument("--version", action="version", version=f"exatrkx {__version__}")


def at_least(kind: type[int] | type[float], least: float) -> Callable[[str], float]:
    """A reader of an option's number, not below `least`, for argparse."""

    def read(text: str) -> float:
        value = kind(text)
        if not value >= least:
            raise argparse.ArgumentTypeError(f"must be at least {least:g}, found {text}")
        return value

    read.__name__ = "number"  # what argparse calls it when it is none
    return read
