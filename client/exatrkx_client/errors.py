"""Exceptions of the client: what can go wrong between it and its server.

They derive from `exatrkx.errors.ExatrkxError`, as all errors of the project do. `exatrkx.errors.ContractError` itself
is raised for an event whose features do not fit, before anything is sent.
"""

from __future__ import annotations

from typing import Final

from exatrkx.errors import ContractError, ExatrkxError, ExitCode

ACCESS_DENIED: Final = "access denied: it asks for another token, or does not do this for its clients"
"""No more is said of a wrong token, nor whether it was one."""


class ClientError(ExatrkxError):
    """Base of what goes wrong between this client and its server.

    Attributes:
        status: what the protocol calls it, such as "400" (HTTP) or "StatusCode.INVALID_ARGUMENT" (gRPC); empty where
            no answer came.
        reason: what the server said, in its words alone.
    """

    exit_code = ExitCode.SERVER

    def __init__(self, text: str, *, status: str = "", reason: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason


class ServerUnavailableError(ClientError, ConnectionError):
    """The server cannot be reached, is not ready or is going down. The same request may succeed later."""


class AccessError(ClientError):
    """A token, a certificate or an interface that is closed keeps client and server apart; patience does not help."""


class DeadlineError(ClientError, TimeoutError):
    """No answer in the time that was given."""


class RequestRejectedError(ClientError, ValueError):
    """The server found the request at fault, and would again; the text says why."""

    exit_code = ExitCode.USAGE


class ServedModelError(ClientError, ContractError):
    """The server has no such model, or one whose tensors are not those of `exatrkx.contract`."""


class ServerError(ClientError):
    """The server failed at a request that it did not find at fault."""
