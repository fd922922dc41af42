"""Triton server on this machine, from Python: find it, give it its backends, start it, and stop it for certain.

    with TritonServer(Path("model_repository")) as server:
        print(server.grpc_url)

Needs no torch in the process that starts the server.
"""

from exatrkx_server.access import Access
from exatrkx_server.errors import (
    PortInUseError,
    ServerError,
    ServerOptionError,
    ServerSetupError,
    ServerStartError,
    StartCancelledError,
)
from exatrkx_server.installation import TritonInstallation, find_triton
from exatrkx_server.options import Ports, ServerOptions, free_ports
from exatrkx_server.server import TritonServer

__all__ = [
    "Access",
    "PortInUseError",
    "Ports",
    "ServerError",
    "ServerOptionError",
    "ServerOptions",
    "ServerSetupError",
    "ServerStartError",
    "StartCancelledError",
    "TritonInstallation",
    "TritonServer",
    "find_triton",
    "free_ports",
]
