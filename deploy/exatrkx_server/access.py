"""Access to a server: which interfaces of Triton's are open and to whom, TLS, and the token.

Triton opens everything to everybody. Here only readiness, metadata, inference and statistics are open. The others ask
for a random key of this start's, which nobody else has; those that are allowed, and all that are open, for the token
where there is one. Over HTTP inference is open on this machine alone: Triton's JSON reader takes memory for the shape
that a request declares, and one request of 80 bytes ends the server.
"""

from __future__ import annotations

import argparse
import os
import secrets
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, cast, get_args

from exatrkx_client.address import Protocol
from exatrkx_client.credentials import (
    AUTHORIZATION,
    Credentials,
    CredentialsError,
    bearer,
    load_certificate,
    open_to_others,
    read_token,
    reason_of,
)
from exatrkx_client.proxy import is_loopback

Interface = Literal["model-control", "shared-memory", "logging", "trace", "http-inference"]
"""What a server does for its clients only where it is allowed by name."""

_CLOSED: Final[dict[str, Interface]] = {
    "model-repository": "model-control",
    "shared-memory": "shared-memory",
    "logging": "logging",
    "trace": "trace",
}
"""Triton's groups of questions that are closed, and the names that they are allowed by."""
_OPEN: Final = ("metadata", "inference", "model-config", "statistics")
_FLAGS: Final[dict[Protocol, str]] = {"grpc": "--grpc-restricted-protocol", "http": "--http-restricted-api"}
LOOPBACK: Final = "127.0.0.1"
_OWN_KEY: Final = "exatrkx-key"
"""The header that asks for what is closed."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What one start of a server asks for.

    Attributes:
        token: the operator's, for what is open or allowed; none if empty.
        own: for what is closed; nobody but this process knows it.
    """

    token: str = field(repr=False)
    own: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def credentials(self) -> Credentials:
        """With them everything may be asked."""
        return Credentials(token=self.token, headers={_OWN_KEY: self.own})


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may do what with a server.

    Attributes:
        allow: interfaces that are open besides readiness, metadata, inference and statistics.
        tls_cert: PEM file of the server's certificate: gRPC is encrypted then, and HTTP, for which Triton has no TLS,
            answers on this machine alone.
        tls_key: PEM file of its key.
        tls_ca: PEM file of those who sign the clients' certificates; without one clients need none.
        token_file: file of the token that every request but for readiness must have.

    Raises:
        CredentialsError: a file is missing, or does not fit.
    """

    allow: tuple[Interface, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None
    token_file: Path | None = None

    def __post_init__(self) -> None:
        if bool(self.tls_cert) != bool(self.tls_key) or (self.tls_ca and not self.tls_cert):
            raise CredentialsError("TLS needs --tls-cert and --tls-key, both of them; --tls-ca comes on top")
        if self.tls_cert and self.tls_key:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            load_certificate(context, self.tls_cert, self.tls_key)
            try:
                context.load_verify_locations(self.tls_ca or self.tls_cert)
            except (OSError, ssl.SSLError) as error:
                raise CredentialsError(f"{self.tls_ca}: no certificates: {reason_of(error)}") from error
        if self.token_file:
            read_token(self.token_file)

    @property
    def tls(self) -> bool:
        return self.tls_cert is not None

    def http_host(self, host: str) -> str:
        """Where HTTP listens, which is never encrypted."""
        return LOOPBACK if self.tls and not is_loopback(host) else host

    def infers_over_http(self, host: str) -> bool:
        """Whether HTTP takes events, and not only questions."""
        return is_loopback(self.http_host(host)) or "http-inference" in self.allow

    def keys(self) -> Keys:
        """Those of a new start."""
        return Keys(read_token(self.token_file) if self.token_file else "")

    def restrictions(self, host: str, keys: Keys) -> dict[str, str]:
        """Triton's options that ask for the keys, each by a name that gives nothing away."""
        found = {}
        for protocol, flag in _FLAGS.items():
            closed = [group for group, name in _CLOSED.items() if name not in self.allow]
            if protocol == "http" and not self.infers_over_http(host):
                closed.append("inference")
            asked = {"CLOSED": (closed, f"{_OWN_KEY}={keys.own}")}
            if keys.token:
                others = [group for group in (*_OPEN, *_CLOSED) if group not in closed]
                asked["TOKEN"] = (others, f"{AUTHORIZATION}={bearer(keys.token)}")
            for name, (groups, header) in asked.items():
                if groups:
                    found[f"EXATRKX_{protocol.upper()}_{name}"] = f"{flag}={','.join(groups)}:{header}"
        return found

    def arguments(self) -> list[str]:
        """Triton's options of TLS."""
        if not self.tls:
            return []
        options = {"use-ssl": "true", "server-cert": self.tls_cert, "server-key": self.tls_key}
        if self.tls_ca:
            options |= {"use-ssl-mutual": "true", "root-cert": self.tls_ca}
        return [f"--grpc-{name}={value}" for name, value in options.items()]

    def warnings(self) -> list[str]:
        """Files of secrets that other users of this machine can read."""
        return [text for path in (self.tls_key, self.token_file) if (text := open_to_others(path))]

    def remarks(self, host: str, *, secrets_visible: bool = False) -> list[str]:
        """What an operator should know of a server that runs so."""
        found = [f"allowed: {', '.join(self.allow)}"] if self.allow else []
        if not is_loopback(host):
            missing = ["no TLS (--tls-cert, --tls-key)"] * (not self.tls)
            missing += ["no token (--token-file)"] * (not self.token_file and not self.tls_ca)
            if missing:
                found.append(f"whoever reaches {host} can use it or listen: {', '.join(missing)}")
        if secrets_visible:
            found.append("its command line, which every user can read, has its keys: nothing may be traced here")
        if os.geteuid() == 0:
            found.append("runs as root, and its models with it")
        return found


def add_access_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `Access`."""
    group = parser.add_argument_group("access; see SECURITY.md")
    group.add_argument(
        "--allow",
        type=_interfaces,
        default=(),
        metavar="A,B",
        help=f"open more than readiness, metadata, inference and statistics: {', '.join(get_args(Interface))}",
    )
    group.add_argument("--tls-cert", type=Path, metavar="FILE", help="the server's certificate (PEM): gRPC with TLS")
    group.add_argument("--tls-key", type=Path, metavar="FILE", help="its key (PEM)")
    group.add_argument("--tls-ca", type=Path, metavar="FILE", help="take only clients that these have signed (PEM)")
    group.add_argument("--token-file", type=Path, metavar="FILE", help="take only requests with the token in this file")


def _interfaces(text: str) -> tuple[Interface, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if unknown := [name for name in names if name not in get_args(Interface)]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: known are {', '.join(get_args(Interface))}")
    return cast("tuple[Interface, ...]", names)


def access_of(arguments: argparse.Namespace) -> Access:
    """What the command line asks for; raises CredentialsError where a file does not fit."""
    return Access(
        allow=arguments.allow,
        tls_cert=arguments.tls_cert,
        tls_key=arguments.tls_key,
        tls_ca=arguments.tls_ca,
        token_file=arguments.token_file,
    )
