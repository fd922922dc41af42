"""Exceptions of starting and running a server; `exatrkx.errors` has their base and the exit codes."""

from __future__ import annotations

from exatrkx.errors import ExatrkxError, ExitCode


class ServingError(ExatrkxError):
    """Base of every error of this package."""


class ServerSetupError(ServingError):
    """Something that the server needs is not on this machine; the text says what to install."""


class ServerOptionError(ServingError):
    """An option cannot be given to the server; the text names it and says why."""

    exit_code = ExitCode.USAGE


class ServerStartError(ServingError):
    """The server was started and did not become ready; the text says why, of each model in a line of its own."""

    is_list = True


class PortInUseError(ServerStartError):
    """Another process listens on one of the server's ports."""


class StartCancelledError(ServerStartError):
    """The caller changed its mind while the models were loading."""
