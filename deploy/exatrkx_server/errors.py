"""What can go wrong with a server."""


class ServerError(Exception):
    """Base of every error of this package."""


class ServerSetupError(ServerError):
    """Something that the server needs is not on this machine; the text says what to install."""


class ServerStartError(ServerError):
    """The server was started and did not become ready; the text says why."""


class StartCancelledError(ServerStartError):
    """The caller changed its mind while the models were loading."""
