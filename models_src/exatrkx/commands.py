"""Command-line conventions that all commands share: exit codes, one line for an error, `--version`, whole files."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from exatrkx import __version__
from exatrkx.errors import ExatrkxError, ExitCode

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

EXIT_CODES: Final = (
    "Exit codes: 0 done, 1 failed, 2 the command line or a file that it names is at fault, "
    "3 a server cannot be reached or fails, 130 interrupted, 143 terminated."
)
"""`exatrkx.errors.ExitCode` for the last lines of a `--help`."""


def run_command(
    name: str, work: Callable[[], object], expected: tuple[type[Exception], ...] = (ExatrkxError, OSError)
) -> int:
    """Exit code of a command's work; the reason of a failure goes to standard error, after the command's name.

    Args:
        name: of the command.
        work: what it does; may return an `ExitCode` of its own.
        expected: errors that are a reason, not a bug; a bug keeps its traceback.
    """
    try:
        result = work()
    except expected as error:
        print(f"{name}: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, ExatrkxError) else ExitCode.FAILED
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    return result if isinstance(result, ExitCode) else ExitCode.DONE


@contextmanager
def needs_extra(name: str) -> Iterator[None]:
    """Within the `with` modules are imported that an extra of this package installs.

    Raises:
        ExatrkxError: one is not there; the text says what to install.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        raise ExatrkxError(f"{missing}: install 'exatrkx[{name}]'") from missing


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
