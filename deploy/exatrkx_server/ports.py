"""The three TCP ports of a server."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import astuple, dataclass

from exatrkx_server.errors import ServerStartError


class PortInUseError(ServerStartError):
    """Another process listens on one of the server's ports."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a server listens. The defaults are Triton's."""

    http: int = 8000
    grpc: int = 8001
    metrics: int = 8002


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        # As the server will: a port whose last connections are only winding down is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def free_ports(host: str = "127.0.0.1") -> Ports:
    """Three different ports on which nobody listens.

    Another process may take one before the server does: `TritonServer` then starts again with three others.
    """
    with contextlib.ExitStack() as held:
        # All three at once, so that they differ.
        numbers = [held.enter_context(_bind(host, 0)).getsockname()[1] for _ in range(3)]
    return Ports(*numbers)


def check_free(host: str, ports: Ports) -> None:
    """Raise PortInUseError unless the server can listen on all three ports of this host."""
    numbers = astuple(ports)
    if len(set(numbers)) < len(numbers):
        raise PortInUseError(f"HTTP, gRPC and metrics need different ports, found {ports}")
    for number in numbers:
        try:
            _bind(host, number).close()
        except OSError as error:
            raise PortInUseError(f"cannot listen on {host}:{number}: {error.strerror}; try --free-ports") from error
