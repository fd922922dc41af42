"""List of servers: the JSON file that `exatrkx serve --ports-file` writes, of one server or of one for each GPU."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from exatrkx.errors import ExatrkxError, ExitCode


class ServerListError(ExatrkxError, ValueError):
    """A file lists no servers; the text names it."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class ListedServer:
    """URLs of one server: its gRPC, its HTTP, and the health endpoint of its supervisor; empty where not listed."""

    grpc_url: str
    http_url: str = ""
    health_url: str = ""


def read_server_list(path: Path) -> tuple[ListedServer, ...]:
    """The servers that a file lists.

    Raises:
        ServerListError: it cannot be read, or lists none.
    """
    try:
        content = json.loads(path.read_bytes())
        servers = content.get("servers", [content])
        urls = [(str(one["grpc_url"]), str(one.get("http_url", "")), str(one.get("health_url", ""))) for one in servers]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no list of servers"
        raise ServerListError(f"{path}: {reason}") from error
    if not urls:
        raise ServerListError(f"{path}: no list of servers")
    return tuple(ListedServer(*one) for one in urls)
