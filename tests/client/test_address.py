"""Where a server's address leads."""

from __future__ import annotations

import traceback
from typing import cast

import pytest

from exatrkx_client.address import Address, Protocol


@pytest.mark.parametrize(
    ("url", "protocol", "expected"),
    [
        ("127.0.0.1:8001", None, Address("grpc", "127.0.0.1", 8001)),
        ("127.0.0.1:8000", None, Address("http", "127.0.0.1", 8000)),
        ("127.0.0.1:8000", "grpc", Address("grpc", "127.0.0.1", 8000)),
        ("host:31234", None, Address("grpc", "host", 31234)),
        ("host:31234", "http", Address("http", "host", 31234)),
        ("host", None, Address("grpc", "host", 8001)),
        ("host", "http", Address("http", "host", 8000)),
        ("grpc://host:8000", None, Address("grpc", "host", 8000)),
        ("http://host", "http", Address("http", "host", 8000)),
        ("https://triton.example.org/", None, Address("http", "triton.example.org", 443, secure=True)),
        ("grpcs://host:9", None, Address("grpc", "host", 9, secure=True)),
        ("[::1]:8001", None, Address("grpc", "::1", 8001)),
        ("grpc://[::1]:8001", None, Address("grpc", "::1", 8001)),
        ("http://[::1]", None, Address("http", "::1", 8000)),
        ("localhost:8000", None, Address("http", "localhost", 8000)),
    ],
)
def test_addresses(url: str, protocol: Protocol | None, expected: Address) -> None:
    assert Address.parse(url, protocol) == expected


@pytest.mark.parametrize(
    ("url", "protocol", "reason"),
    [
        ("", None, "not a server's address: ''"),
        (":8001", None, "not a server's address"),
        ("host:port", None, "not a server's address: 'host:port': Port could not be cast"),
        ("host:99999", None, "Port out of range"),
        ("http://host:8000/v2/models", None, "expected host:port, grpc://host:port or http://host:port"),
        ("::1", None, "an IPv6 address needs brackets, as in \\[::1\\]:8001"),
        ("grpc://::1:8001", None, "an IPv6 address needs brackets"),
        ("host:8001#there", None, "expected host:port"),
        ("ftp://host:21", None, "the scheme must be one of grpc, http, grpcs, https, found 'ftp'"),
        ("http://host:8000", "grpc", "is an address for http, and the protocol asked for is grpc"),
        ("host:8000", "carrier pigeon", "protocol must be one of grpc, http, found 'carrier pigeon'"),
    ],
)
def test_what_is_no_address(url: str, protocol: str | None, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Address.parse(url, cast("Protocol | None", protocol))


@pytest.mark.parametrize("url", ["http://me:secret@host:8000", "me:secret@host:8001", "http://me:secret/2@host:x/v2"])
def test_a_password_is_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="not a server's address: '…@host") as refused:
        Address.parse(url)
    assert "secret" not in "".join(traceback.format_exception(refused.value)).partition("ValueError")[2]


@pytest.mark.parametrize("text", ["grpc://[::1]:8001", "https://host:443", "http://host:8000"])
def test_an_address_reads_back_from_its_text(text: str) -> None:
    assert str(Address.parse(text)) == text


def test_several_addresses_each_once() -> None:
    parsed = Address.parse_all(["b:8001", "grpc://a", "http://b:8000", "a:8001"])
    assert [str(address) for address in parsed] == ["grpc://b:8001", "grpc://a:8001", "http://b:8000"]
    with pytest.raises(ValueError, match="at least one server's address, found none"):
        Address.parse_all([])
