"""Load balancer command: several servers behind one address, as a configuration of haproxy or Envoy.

Either balances single requests, of gRPC (HTTP/2) too, to the server with the fewest, and asks each whether it is ready.

exatrkx balancer haproxy servers.json --output haproxy.cfg && haproxy -f haproxy.cfg
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from exatrkx.commands import at_least, command_parser, run_command
from exatrkx.files import check_outputs, whole_file, write_files
from exatrkx.run_settings import asked, beside
from exatrkx_client.address import Address
from exatrkx_client.proxy import is_loopback
from exatrkx_client.server_list import ListedServer, ServerListError, read_server_list
from exatrkx_server.balancer_configurations import CONFIGURATIONS
from exatrkx_server.errors import ServerOptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

_READY: Final = "/ready"
"""Of a supervisor's health endpoint, which knows of a stage that has died; Triton itself does not."""

_TRITON_READY: Final = "/v2/health/ready"


@dataclass(frozen=True, slots=True)
class BalancedServer:
    """One of the servers: its ports, and that which says whether it is ready."""

    host: str
    grpc_port: int
    http_port: int
    health_port: int

    @classmethod
    def of(cls, listed: ListedServer, *, supervised: bool) -> Self:
        """A server of a list.

        Raises:
            ServerListError: an address is missing, or encrypted; or it has several hosts.
        """
        urls = (listed.grpc_url, listed.http_url, listed.health_url if supervised else listed.http_url)
        if not all(urls):
            raise ServerListError(f"{listed.grpc_url}: the list has no http_url of it")
        addresses = [Address.parse(url) for url in urls]
        if any(address.secure for address in addresses) or len({address.host for address in addresses}) > 1:
            raise ServerListError(
                f"{listed.grpc_url}: a balancer reaches a server on one host, and without TLS, which is its front's"
            )
        return cls(addresses[0].host, *(address.port for address in addresses))


@dataclass(frozen=True, slots=True, kw_only=True)
class Balancer:
    """Several servers behind one address.

    Attributes:
        servers: at least one.
        ready_path: what each is asked on its `health_port`.
        host, grpc_port, http_port: where the balancer listens.
        http_inference: whether events may come over HTTP, and not questions alone.
        max_request_bytes: most bytes of a request, as far as the program can bound them.
        tls_cert, tls_key: PEM files of the certificate and its key; without them nothing is encrypted.
        tls_ca: PEM file of those who sign the clients' certificates; without one clients need none.
    """

    servers: tuple[BalancedServer, ...]
    ready_path: str
    host: str
    grpc_port: int
    http_port: int
    http_inference: bool
    max_request_bytes: int
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None


def balancer_of(options: argparse.Namespace) -> Balancer:
    """What the command line asks for.

    Raises:
        ServerListError: a file lists no servers, or those that cannot be balanced.
        ServerOptionError: TLS without a certificate or key.
    """
    if bool(options.tls_cert) != bool(options.tls_key) or (options.tls_ca and not options.tls_cert):
        raise ServerOptionError("TLS needs --tls-cert and --tls-key, both of them; --tls-ca comes on top")
    listed = list(dict.fromkeys(server for path in options.servers for server in read_server_list(path)))
    supervised = all(server.health_url for server in listed)
    tls = [path and path.absolute() for path in (options.tls_cert, options.tls_key, options.tls_ca)]
    try:
        servers = tuple(BalancedServer.of(server, supervised=supervised) for server in listed)
    except ServerListError:
        raise
    except ValueError as error:
        raise ServerListError(str(error)) from error
    return Balancer(
        servers=servers,
        ready_path=_READY if supervised else _TRITON_READY,
        host=options.host,
        grpc_port=options.grpc_port,
        http_port=options.http_port,
        http_inference=options.http_inference or is_loopback(options.host),
        max_request_bytes=int(options.max_request_mb) << 20,
        tls_cert=tls[0],
        tls_key=tls[1],
        tls_ca=tls[2],
    )


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    command = command_parser(
        "balancer.py",
        (__doc__ or "").partition("\n")[0],
        "exatrkx balancer haproxy ports1.json ports2.json --output haproxy.cfg",
        defaults=True,
    )
    add = command.add_argument
    add("program", choices=sorted(CONFIGURATIONS), help="whose configuration")
    add(
        "servers", nargs="+", type=Path, help="what `exatrkx serve --ports-file` has written, of one machine or several"
    )
    add("--output", type=Path, default=Path("/dev/stdout"), metavar="FILE", help="the configuration")
    add("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 opens it to the network")
    port = at_least(int, 1, 65535)
    add("--grpc-port", type=port, default=9001)
    add("--http-port", type=port, default=9000)
    add(
        "--http-inference",
        action="store_true",
        help="take events over HTTP beyond this machine, too: a request of 80 bytes can end a server",
    )
    add("--max-request-mb", type=at_least(int, 1), default=64, help="MiB of a request; haproxy cannot bound gRPC's")
    add("--tls-cert", type=Path, metavar="FILE", help="the balancer's certificate (PEM): both ports with TLS")
    add("--tls-key", type=Path, metavar="FILE", help="its key (PEM); for haproxy in the same file, or CERT.key")
    add("--tls-ca", type=Path, metavar="FILE", help="take only clients that these have signed (PEM)")
    return command


def write(options: argparse.Namespace) -> None:
    """Write the configuration.

    Raises:
        ServerListError, ServerOptionError: as `balancer_of`.
        OutputError: it cannot be written.
    """
    check_outputs([options.output], options.servers)
    text = CONFIGURATIONS[options.program](balancer_of(options))
    with whole_file(options.output) as stream:
        stream.write(text.encode())
    write_files(beside(asked(options), options.output))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command("balancer.py", lambda: write(parser().parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
