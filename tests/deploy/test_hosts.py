"""Where a server listens: addresses and names of this machine, and what its ready line says of each."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from certificates import authority
from scripted_server import GOOD, MODEL, order, write_scripted_repository

from exatrkx_client.address import Address
from exatrkx_client.triton_api import TritonApi
from exatrkx_server import Access, ServerOptionError, ServerOptions, TritonServer, free_ports
from exatrkx_server.serve import main


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.server
@pytest.mark.parametrize(
    "host",
    ["localhost", pytest.param("::1", marks=pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6"))],
)
def test_a_server_on_it(tmp_path: Path, host: str) -> None:
    repository = write_scripted_repository(tmp_path / "repository")
    with TritonServer(repository, ServerOptions(host=host, log_file=tmp_path / "log")) as server:
        for url in (server.grpc_url, server.http_url):
            with TritonApi(Address.parse(url), 20.0) as api:
                assert len(api.infer(MODEL, {"FEATURES": order(GOOD)}).tensors["LABELS"]) == 5


def own_address() -> str:
    """One of this machine's that others reach; nothing is sent."""
    with socket.socket(type=socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(one.getsockname()[0])


@pytest.mark.server
@pytest.mark.skipif(own_address().startswith("127."), reason="this machine has no address but its own")
def test_a_server_is_watched_without_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = write_scripted_repository(tmp_path / "repository")
    with socket.create_server(("127.0.0.1", 0)) as gone:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{gone.getsockname()[1]}")
    options = ServerOptions(host=own_address(), log_file=tmp_path / "log", start_timeout_s=60)
    with TritonServer(repository, options) as server, server.api(20.0) as api:
        assert api.is_ready(MODEL)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "127.0.0.1:8001", "a" * 300, ""])
def test_what_is_no_host(tmp_path: Path, host: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ServerOptionError, match="host"):
        ServerOptions(host=host)
    assert main(["--model-repository", str(tmp_path), "--host", host]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("serve.py: host")
    assert errors.count("\n") == 1


def test_a_host_of_another_machine() -> None:
    with pytest.raises(ServerOptionError, match=r"cannot listen on 192\.0\.2\.1: Cannot assign requested address"):
        free_ports("192.0.2.1")


def test_what_is_said_of_a_server_that_the_network_reaches(tmp_path: Path) -> None:
    ours = authority(tmp_path, "ours")
    token = tmp_path / "token"
    token.write_text("sesame")
    with_token, encrypted = Access(token_file=token), Access(tls_cert=ours.pem, tls_key=ours.key)
    both = replace(encrypted, token_file=token)
    mutual = replace(encrypted, tls_ca=ours.pem)

    def remark(access: Access, host: str) -> str:
        return "; ".join(access.remarks(host)).partition("; runs as root")[0]

    everybody = "whoever reaches 0.0.0.0 can use it or listen: no TLS (--tls-cert, --tls-key), no token (--token-file)"
    assert remark(Access(), "0.0.0.0") == everybody
    assert remark(with_token, "::") == "whoever reaches :: can use it or listen: no TLS (--tls-cert, --tls-key)"
    assert remark(encrypted, "::") == "whoever reaches :: can use it or listen: no token (--token-file)"
    for access, host in ((Access(), "127.0.0.1"), (Access(), "::1"), (both, "0.0.0.0"), (mutual, "0.0.0.0")):
        assert "reaches" not in remark(access, host)
    assert any("runs as root" in text for text in Access().remarks("::1")) == (os.geteuid() == 0)


def test_what_is_allowed_is_said() -> None:
    assert "allowed: logging, trace" in Access(allow=("logging", "trace")).remarks("127.0.0.1")


def test_http_without_tls_stays_on_this_machine(tmp_path: Path) -> None:
    one = authority(tmp_path, "one")
    encrypted = Access(tls_cert=one.pem, tls_key=one.key)
    assert [encrypted.http_host(host) for host in ("0.0.0.0", "::", "::1")] == ["127.0.0.1", "127.0.0.1", "::1"]
    assert Access().http_host("0.0.0.0") == "0.0.0.0"
