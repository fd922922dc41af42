"""Exceptions of the whole project, and the exit codes that its commands give for them."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit codes of every command; which error gives which one is said by its class."""

    DONE = 0
    FAILED = 1
    """It could not be done; the text on standard error gives the reason."""
    USAGE = 2
    """The command line, or a file or a setting that it names, is at fault. `argparse` ends with it, too."""
    SERVER = 3
    """A server that was asked cannot be reached, does not fit or fails."""
    INTERRUPTED = 130
    """SIGINT (Ctrl-C); 128 and the signal's number, as in a shell."""
    CLOSED_PIPE = 141
    """Nobody reads standard output any more, as in `… | head`: SIGPIPE."""
    TERMINATED = 143
    """SIGTERM."""


class ExatrkxError(Exception):
    """Base of every error that this project raises on purpose: package, client, server and measurements."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED
    is_list: ClassVar[bool] = False
    """Whether a command tells its text line by line, and not in one."""


class ContractError(ExatrkxError, ValueError):
    """A tensor, a network or a configuration does not keep the contract of `exatrkx.contract`."""


class EventFormatError(ExatrkxError, ValueError):
    """A file of events cannot be read; the text names the file, the column and what is wrong."""

    exit_code = ExitCode.USAGE


class UnitsError(ContractError, EventFormatError):
    """Lengths or features that fit no detector; the text says in which units they were probably given."""


class MissingColumnError(ContractError, EventFormatError):
    """An event lacks a column that the networks take beside the position; the text names it."""


class GraphTooLargeError(ExatrkxError):
    """A graph would have more edges than the working point's `max_edges`: refused before memory is spent on it."""


class OutputError(ExatrkxError, OSError):
    """An output cannot be written, as on a full disk; what was there under its name still is."""


class OutputRefusedError(ExatrkxError, ValueError):
    """An output would destroy an input or other output, or is of another run; nothing was read or computed for it."""

    exit_code = ExitCode.USAGE


class MixedRequestsError(ExatrkxError):
    """Tensors of different requests came together in a served model: the server's fault, so it is to be sent again."""


class EventTooLargeError(ExatrkxError):
    """An event has more spacepoints, or needs more memory, than is allowed: refused before memory is spent on it."""


class OverloadedError(ExatrkxError):
    """A server has too much to do, or too little memory free, for this request now; it may be sent again later."""


class OverdueError(ExatrkxError):
    """Nobody waits for the answer any more: the request was cancelled, or its deadline has passed."""


class SimulationError(ExatrkxError):
    """The event generator or the detector simulation failed."""
