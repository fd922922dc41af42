"""Exceptions of the client: what can go wrong between it and its server.

They derive from `exatrkx.errors.ExatrkxError`, as all errors of the project do. `exatrkx.errors.ContractError` itself
is raised for an event whose features do not fit, before anything is sent.
"""

from __future__ import annotations

from typing import ClassVar, Self

from exatrkx.errors import ContractError, ExatrkxError, ExitCode


class ClientError(ExatrkxError):
    """Base of what goes wrong between this client and its server.

    Attributes:
        status: what the protocol calls it, such as "400" (HTTP) or "StatusCode.INVALID_ARGUMENT" (gRPC); empty where
            no answer came.
        reason: what the server said, in its words alone.
        retryable: the same request may succeed at the same server later, so `Retry` sends it again.
        fails_over: the server is at fault, not the request or the configuration, so another server, or the pipeline in
            this process, may do it.
    """

    exit_code = ExitCode.SERVER
    retryable: ClassVar[bool] = False
    fails_over: ClassVar[bool] = False

    def __init__(self, text: str, *, status: str = "", reason: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason

    def told_as(self, text: str) -> Self:
        """The same error in other words."""
        return type(self)(text, status=self.status, reason=self.reason)


class ServerUnavailableError(ClientError, ConnectionError):
    """The server cannot be reached, is not ready or is going down. The same request may succeed later."""

    retryable = True
    fails_over = True


class UnprovenError(ServerUnavailableError):
    """An answer or a refusal came that is not known to be to this request. The same request may succeed later."""


class DeadlineError(ClientError, TimeoutError):
    """No answer in the time that was given. To find tracks twice does no harm, so the request may be sent again."""

    retryable = True
    fails_over = True


class AccessError(ClientError):
    """A token, a certificate, a closed interface or a proxy keeps client and server apart; patience does not help."""


class RequestRejectedError(ClientError, ValueError):
    """The server found the request at fault, and would again; the text says why."""

    exit_code = ExitCode.USAGE


class ServedModelError(ClientError, ContractError):
    """The server has no such model, or one whose tensors are not those of `exatrkx.contract`."""


class ServerError(ClientError):
    """The server failed at a request that it did not find at fault."""

    fails_over = True


def untrusted(address: str, reason: str) -> AccessError:
    """What is wrong when a server does not prove that it is the one that was meant."""
    return AccessError(f"{address}: its certificate is not accepted: {reason}", reason=reason)


def too_few_descriptors(address: str) -> ClientError:
    """What is wrong when this process can open no connection for want of file descriptors."""
    return ClientError(f"{address}: this process has no file descriptors left for a connection; see ulimit -n")
