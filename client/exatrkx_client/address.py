"""Address of a server: host, port, protocol and encryption, out of a URL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Self, cast, get_args
from urllib.parse import urlsplit

Protocol = Literal["grpc", "http"]

_DEFAULT_PORTS: Final = {"grpc": 8001, "http": 8000, "grpcs": 443, "https": 443}
_HTTP_PORT: Final = _DEFAULT_PORTS["http"]


@dataclass(frozen=True, slots=True)
class Address:
    """A server's host, port and protocol.

    Attributes:
        secure: the connection is encrypted (TLS).
        direct: it is made without a proxy, whatever the environment names.
    """

    protocol: Protocol
    host: str
    port: int
    secure: bool = False
    direct: bool = False

    @classmethod
    def parse(cls, url: str, protocol: Protocol | None = None) -> Self:
        """Read `host:port`, or a URL with the scheme grpc, grpcs, http or https.

        Without a scheme and without `protocol`, port 8000 speaks HTTP, as Triton has it, and every other one gRPC.

        Raises:
            ValueError: not such an address, or its scheme contradicts `protocol`.
        """
        if protocol is not None and protocol not in get_args(Protocol):
            raise ValueError(f"protocol must be one of {', '.join(get_args(Protocol))}, found {protocol!r}")
        expected = "expected host:port, grpc://host:port or http://host:port"
        if "@" in url:  # before anything repeats a password
            raise ValueError(f"not a server's address: '…@{url.rpartition('@')[2]}'; {expected}")
        try:
            parts = urlsplit(url if "://" in url else f"//{url}")
            host, port = parts.hostname, parts.port
        except ValueError as error:
            brackets = (
                "; an IPv6 address needs brackets, as in [::1]:8001" if url.rpartition("/")[2].count(":") > 1 else ""
            )
            raise ValueError(f"not a server's address: {url!r}: {error}{brackets}") from error
        if not host or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(f"not a server's address: {url!r}; {expected}")
        scheme = parts.scheme or protocol or ("http" if port == _HTTP_PORT else "grpc")
        if scheme not in _DEFAULT_PORTS:
            raise ValueError(f"{url!r}: the scheme must be one of {', '.join(_DEFAULT_PORTS)}, found {scheme!r}")
        spoken = cast("Protocol", scheme.removesuffix("s"))
        if protocol is not None and protocol != spoken:
            raise ValueError(f"{url!r} is an address for {spoken}, and the protocol asked for is {protocol}")
        return cls(spoken, host, port if port is not None else _DEFAULT_PORTS[scheme], scheme.endswith("s"))

    @classmethod
    def parse_all(cls, urls: Sequence[str], protocol: Protocol | None = None) -> tuple[Self, ...]:
        """Read the addresses of several servers, each once.

        Raises:
            ValueError: one is no such address; or there are none.
        """
        if not urls:
            raise ValueError("expected at least one server's address, found none")
        return tuple(dict.fromkeys(cls.parse(url, protocol) for url in urls))

    @property
    def target(self) -> str:
        """`host:port`, with brackets around an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.protocol}{'s' if self.secure else ''}://{self.target}"
