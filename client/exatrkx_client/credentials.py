"""Credentials of a client: certificates (TLS) and a bearer token, out of files and the environment."""

from __future__ import annotations

import argparse
import os
import re
import ssl
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from exatrkx.errors import ExatrkxError, ExitCode
from exatrkx_client.address import Address

AUTHORIZATION: Final = "authorization"
"""The header of a token, as RFC 6750 has it."""
TRITON_PREFIX: Final = "triton-grpc-protocol-"
"""With it before them are the headers that Triton looks for over gRPC."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_FILES: Final = {
    "tls-ca": ("EXATRKX_TLS_CA", "certificates (PEM) of those who sign the server's; default: the system's"),
    "tls-cert": ("EXATRKX_TLS_CERT", "this client's certificate (PEM), for a server that asks for one"),
    "tls-key": ("EXATRKX_TLS_KEY", "its key (PEM)"),
    "token-file": ("EXATRKX_TOKEN_FILE", "file that holds the server's token"),
}
_TOKEN_VARIABLE: Final = "EXATRKX_TOKEN"  # noqa: S105 - its name


class CredentialsError(ExatrkxError, ValueError):
    """A file of a certificate, a key or a token cannot be used; the text never has what is in it."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client shows to a server, and what it trusts.

    Attributes:
        ca: PEM file of the certificates that it trusts; None for the system's.
        certificate: PEM file of its own, where the server wants to know its clients.
        key: PEM file of that certificate's key.
        token: what the server asks for with each request; none if empty.
        headers: of each request, besides that of the token: what a proxy asks for, or another restricted Triton.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    token: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.token:
            require_token(self.token, "the token")

    @classmethod
    def from_environment(cls, options: argparse.Namespace | None = None) -> Self:
        """What the environment names, and before it the options of `add_credentials_arguments`.

        Raises:
            CredentialsError: a token's file cannot be read, or holds none.
        """
        files = {}
        for name, (variable, _) in _FILES.items():
            given = getattr(options, name.replace("-", "_"), None) or os.environ.get(variable)
            files[name] = Path(given) if given else None
        for name in ("tls-key", "token-file"):
            if warning := open_to_others(files[name]):
                print(f"warning: {warning}", file=sys.stderr)
        token_file = files["token-file"]
        token = read_token(token_file) if token_file else os.environ.get(_TOKEN_VARIABLE, "")
        return cls(files["tls-ca"], files["tls-cert"], files["tls-key"], token)

    @property
    def all_headers(self) -> dict[str, str]:
        """Those of an HTTP request; gRPC's metadata are the same."""
        return ({AUTHORIZATION: bearer(self.token)} if self.token else {}) | dict(self.headers)

    def context(self, address: Address) -> ssl.SSLContext | None:
        """The files for the TLS of an address; None where it has none.

        Raises:
            CredentialsError: a file is missing, is none of PEM, or certificate and key do not belong together; or what
                was meant to be encrypted would not be.
        """
        if not address.secure:
            if self.ca or self.certificate or self.key:
                raise CredentialsError(f"{address}: certificates for a connection without TLS; grpcs://… has it")
            return None
        if bool(self.certificate) != bool(self.key):
            raise CredentialsError("a client's certificate and its key belong together: name both")
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError) as error:
            raise CredentialsError(f"{self.ca}: no certificates: {reason_of(error)}") from error
        if self.certificate and self.key:
            load_certificate(context, self.certificate, self.key)
        return context


def add_credentials_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `Credentials.from_environment`; each is the name of a file."""
    group = parser.add_argument_group(
        "a server with TLS (grpcs://…) or a token",
        f"Each may stand in the environment instead; the token itself in {_TOKEN_VARIABLE}, too.",
    )
    for name, (variable, text) in _FILES.items():
        group.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"{text} ({variable})", default=None)


def read_token(path: Path) -> str:
    """The token in a file; blanks around it do not count.

    Raises:
        CredentialsError: the file cannot be read, or holds no token of RFC 6750's characters.
    """
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsError(f"{path}: no token: {reason_of(error)}") from None
    return require_token(token, str(path))


def require_token(token: str, where: str) -> str:
    """The token, if it is made of RFC 6750's characters."""
    if not _TOKEN.fullmatch(token):
        raise CredentialsError(f"{where}: must be one word of letters, digits and -._~+/, with = at its end alone")
    return token


def bearer(token: str) -> str:
    """The value of a token's header."""
    return f"Bearer {token}"


def load_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Take a certificate and its key; raises CredentialsError where they are missing or do not belong together."""
    try:
        # Without a password, one would be asked for on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ssl.SSLError) as error:
        raise CredentialsError(f"{certificate}, {key}: no certificate with its key: {reason_of(error)}") from error


def open_to_others(path: Path | None) -> str | None:
    """A warning where everybody on this machine can read a secret, or write one of their own."""
    try:
        mode = path.stat().st_mode if path else 0
    except OSError:
        return None  # who reads it says so
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        return f"{path}: every user of this machine can get at it: chmod 600"
    return None


def reason_of(error: Exception) -> str:
    """What went wrong with a file, in a few words that have nothing of what is in it."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not in PEM").lower().replace("_", " ")
    return (error.strerror or str(error)) if isinstance(error, OSError) else "not ASCII"
