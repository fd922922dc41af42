"""Proxy of a server's address, by the environment's variables: the same rules for HTTP and gRPC."""

from __future__ import annotations

import ipaddress
import os
from base64 import b64encode
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import proxy_bypass

from exatrkx_client.address import Address
from exatrkx_client.errors import AccessError, ClientError, ServerUnavailableError

_VARIABLES: Final = {
    "grpc": ("grpc_proxy", "https_proxy", "http_proxy"),
    "grpcs": ("grpc_proxy", "https_proxy", "http_proxy"),
    "http": ("http_proxy",),
    "https": ("https_proxy",),
}
"""For each scheme, in the order in which they are looked at; in capitals, too."""

_DEFAULT_PORT: Final = 80

_DENIALS: Final = (403, 407)


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy through which connections are tunnelled (CONNECT), and the variable that names it."""

    variable: str
    host: str
    port: int
    credentials: str = ""

    @property
    def url(self) -> str:
        """With credentials: not for the eyes of others."""
        return f"http://{self.credentials}{'@' if self.credentials else ''}{self.host}:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        """What a request for a tunnel says."""
        if not self.credentials:
            return {}
        return {"Proxy-Authorization": f"Basic {b64encode(unquote(self.credentials).encode()).decode()}"}

    def refusal(self, address: Address, reason: str) -> ClientError:
        """The error of a tunnel that there is none of: retried, unless the proxy says that it will not have it."""
        kind = AccessError if any(f" {status}" in reason for status in _DENIALS) else ServerUnavailableError
        return kind(
            f"{address}: the proxy {self.host}:{self.port}, which {self.variable} names: {reason} "
            "(no_proxy lists hosts that are reached without)"
        )


def proxy_of(address: Address) -> Proxy | None:
    """The proxy that the environment names for an address; never one for this machine itself.

    Raises:
        ClientError: the variable's value is no URL of an HTTP proxy.
    """
    scheme = str(address).partition(":")[0]
    names = [spelt for name in _VARIABLES[scheme] for spelt in (name, name.upper())]
    variable = next((name for name in names if os.environ.get(name)), None)
    exempt = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if variable is None or address.direct or is_loopback(address.host):
        return None
    if proxy_bypass(address.target, {"no": exempt}):
        return None
    value = os.environ[variable]
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname, parts.port or _DEFAULT_PORT
    except ValueError:
        host = None
    if not host or parts.scheme != "http":
        raise ClientError(f"{address}: the variable {variable} names no proxy of the form http://host:port")
    return Proxy(variable, host, port, parts.netloc.rpartition("@")[0])


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name or number alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
