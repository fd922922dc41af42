"""TLS and token of a real server: who is let in, over gRPC and HTTP, and that no secret can be read anywhere."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
import pytest
from certificates import Certificate, authority, signed
from scripted_server import GOOD, MODEL, order, write_scripted_repository

from exatrkx.errors import ExitCode
from exatrkx_client import AccessError, Credentials, Retry, ServerUnavailableError, TrackingClient
from exatrkx_server import Access, ServerOptions, TritonServer
from exatrkx_server.serve import ready_line

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.server

ROOT: Final = Path(__file__).resolve().parents[2]
TOKEN: Final = "Open-Sesame.0123456789_~+/=="
LOCAL: Final = "IP:127.0.0.1"
ONCE: Final = Retry(attempts=1)


@dataclass(frozen=True)
class Files:
    """Everything that a server and its clients, good ones and bad ones, have."""

    folder: Path
    ours: Certificate
    others: Certificate
    server: Certificate
    client: Certificate
    stranger: Certificate
    token: Path

    @property
    def known(self) -> Credentials:
        return Credentials(self.ours.pem, self.client.pem, self.client.key, TOKEN)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("certificates")
    ours, others = authority(folder, "ours"), authority(folder, "others")
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(f"{TOKEN}\n")
    return Files(
        folder=folder,
        ours=ours,
        others=others,
        server=signed(ours, "server", f"{LOCAL},DNS:localhost"),
        client=signed(ours, "client", "DNS:client"),
        stranger=signed(others, "stranger", "DNS:client"),
        token=token,
    )


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scripted_repository(tmp_path_factory.mktemp("scripted") / "repository")


def encrypted(
    repository: Path, certificate: Certificate, tls_ca: Path | None = None, token_file: Path | None = None
) -> TritonServer:
    access = Access(tls_cert=certificate.pem, tls_key=certificate.key, tls_ca=tls_ca, token_file=token_file)
    return TritonServer(repository, ServerOptions(log_file=repository.with_name("log"), access=access))


@pytest.fixture(scope="module")
def server(repository: Path, files: Files) -> Iterator[TritonServer]:
    """With TLS, both ways, and a token."""
    with encrypted(repository, files.server, tls_ca=files.ours.pem, token_file=files.token) as running:
        yield running


def ask(url: str, credentials: Credentials) -> None:
    """Everything that a client does."""
    with TrackingClient(url, MODEL, retry=ONCE, timeout_s=20, credentials=credentials) as client:
        client.wait_until_ready(timeout_s=10)
        client.check_contract()
        assert len(client.find_tracks(order(GOOD))) == 5


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_good_credentials(server: TritonServer, files: Files, host: str) -> None:
    ask(server.grpc_url.replace("127.0.0.1", host), files.known)


@pytest.mark.parametrize("token", ["", "Open-Sesame.0123456789_~+/=", f"{TOKEN}="], ids=["none", "shorter", "longer"])
@pytest.mark.parametrize("over", ["grpc", "http"])
def test_without_the_token(server: TritonServer, files: Files, over: str, token: str) -> None:
    """Readiness says nothing worth a token; everything else does."""
    url = server.grpc_url if over == "grpc" else server.http_url
    credentials = replace(files.known, token=token) if over == "grpc" else Credentials(token=token)
    with TrackingClient(url, MODEL, retry=ONCE, timeout_s=20, credentials=credentials) as client:
        assert client.is_ready()
        for refused in (client.check_contract, lambda: client.find_tracks(order(GOOD))):
            with pytest.raises(AccessError, match="access denied") as caught:
                refused()
            assert str(caught.value).count("\n") == 0
            assert TOKEN not in str(caught.value)


def test_the_token_over_http(server: TritonServer) -> None:
    assert server.http_url.startswith("http://127.0.0.1:")
    ask(server.http_url, Credentials(token=TOKEN))


def test_a_server_of_another_authority(server: TritonServer, files: Files) -> None:
    for trusted in (files.others.pem, None):
        with pytest.raises(AccessError, match=r"certificate is not accepted: .*self.signed"):
            ask(server.grpc_url, replace(files.known, ca=trusted))


@pytest.mark.parametrize("kind", ["none", "a stranger's", "no TLS at all"])
def test_a_client_that_the_server_does_not_know(server: TritonServer, files: Files, kind: str) -> None:
    stranger = Credentials(files.ours.pem, files.stranger.pem, files.stranger.key, TOKEN)
    credentials = {"none": Credentials(files.ours.pem, token=TOKEN), "a stranger's": stranger}.get(kind, Credentials())
    url = server.grpc_url if kind != "no TLS at all" else server.grpc_url.removeprefix("grpcs://")
    with (
        TrackingClient(url, MODEL, retry=ONCE, timeout_s=20, credentials=credentials) as client,
        pytest.raises(ServerUnavailableError, match="wants TLS, grpcs://…, or a certificate"),
    ):
        client.find_tracks(order(GOOD))


@pytest.mark.parametrize(
    ("host", "days", "reason"),
    [(LOCAL, -1, "certificate has expired"), ("DNS:elsewhere.example", 2, r"it is not 127\.0\.0\.1's")],
    ids=["expired", "of another host"],
)
def test_a_certificate_that_does_not_fit(repository: Path, files: Files, host: str, days: int, reason: str) -> None:
    wrong = signed(files.ours, "wrong", host, days)
    with encrypted(repository, wrong) as running, pytest.raises(AccessError, match=reason):
        ask(running.grpc_url, Credentials(files.ours.pem))


def test_no_secret_can_be_read_by_others(repository: Path, files: Files) -> None:
    """Neither the token nor the key of what is closed: not on a command line, in the log, nor in the ready line."""
    log = repository.with_name("secret.log")
    options = ServerOptions(log_file=log, access=Access(token_file=files.token), extra_arguments=("--log-verbose=2",))
    with TritonServer(repository, options) as running:
        secrets = (running._keys.token, running._keys.own)
        assert secrets[0] == TOKEN
        assert len(secrets[1]) > 40
        ask(running.grpc_url, Credentials(token=TOKEN))
        ask(running.http_url, Credentials(token=TOKEN))
        process = psutil.Process(running.pid)
        command_lines = [" ".join(one.cmdline()) for one in (process, *process.children(recursive=True))]
        assert "$EXATRKX_GRPC_CLOSED $EXATRKX_GRPC_TOKEN $EXATRKX_HTTP_CLOSED" in command_lines[0]
        assert not running.secrets_visible
        texts = [*command_lines, ready_line(running, ""), log.read_text()]
        assert not [secret for secret in secrets for text in texts if secret in text]


def find(url: str, event: Path, *options: object) -> tuple[int, str]:
    """Exit code and standard error of `find_tracks.py`, a process of its own as a user has it."""
    words = [str(event), "--url", url, "--model", MODEL, "--wait", "10", *map(str, options)]
    done = subprocess.run(
        [sys.executable, str(ROOT / "client" / "find_tracks.py"), *words], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


def test_the_command(server: TritonServer, files: Files) -> None:
    """One line for each thing that is wrong, and its exit code."""
    event = files.folder / "event.csv"
    event.write_text("0.1,0.2,0.3\n" * 5)
    wrong = files.folder / "wrong-token"
    wrong.touch(mode=0o600)
    wrong.write_text("guess")
    trusting = ("--tls-ca", files.ours.pem)
    known = (*trusting, "--tls-cert", files.client.pem, "--tls-key", files.client.key)
    assert find(server.grpc_url, event, *known, "--token-file", files.token)[0] == ExitCode.DONE
    for options, code, reason in (
        ((*known, "--token-file", wrong), ExitCode.SERVER, "access denied"),
        (known, ExitCode.SERVER, "access denied"),
        (known[2:], ExitCode.SERVER, "its certificate is not accepted"),
        ((*trusting, "--tls-cert", files.client.pem, "--tls-key", files.server.key), ExitCode.USAGE, "values mismatch"),
        (("--tls-ca", files.folder / "nothing"), ExitCode.USAGE, "No such file"),
    ):
        found, errors = find(server.grpc_url, event, *options)
        assert (found, errors.count("\n"), reason in errors) == (code, 1, True), errors
        assert "guess" not in errors
