"""A real server that is killed, stopped and paused by tests, and comes back on its ports."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from exatrkx_server import ServerOptions, TritonServer, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from exatrkx_client.address import Protocol


class Mortal:
    """A server that is killed, as by the OOM killer, and started again on its ports."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._options = ServerOptions(ports=free_ports(), stop_timeout_s=1)
        self.server = TritonServer(repository, self._options)

    def __enter__(self) -> Mortal:
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    def kill(self) -> None:
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(self.server.pid, signal.SIGKILL)
        self.server.stop()

    def start(self) -> None:
        self.server = TritonServer(self._repository, self._options).__enter__()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """All its processes stand still meanwhile, as on a suspended machine."""
        os.killpg(self.server.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.server.pid, signal.SIGCONT)

    def url(self, protocol: Protocol) -> str:
        return url_of(self.server, protocol)


def url_of(server: TritonServer, protocol: Protocol) -> str:
    return f"grpc://{server.grpc_url}" if protocol == "grpc" else server.http_url
