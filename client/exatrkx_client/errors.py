"""What can go wrong with a server. `exatrkx.errors.ContractError` joins them: tensors or models that do not fit."""

from __future__ import annotations

from exatrkx.errors import ExatrkxError


class ClientError(ExatrkxError):
    """Base of what goes wrong between this client and its server."""


class ServerUnavailableError(ClientError, ConnectionError):
    """The server cannot be reached, is not ready or is going down. The same request may succeed later."""


class DeadlineError(ClientError, TimeoutError):
    """No answer in the time that was given."""


class RequestRejectedError(ClientError, ValueError):
    """The server found the request at fault, and would again; the text says why."""


class ServerError(ClientError):
    """The server failed at a request that it did not find at fault."""
