"""Credentials out of options, files and the environment; what is wrong with them is said without what is in them."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from certificates import authority, signed

from exatrkx_client import Credentials, CredentialsError, TrackingClient
from exatrkx_client.address import Address
from exatrkx_client.credentials import add_credentials_arguments


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TLS_CA", "TLS_CERT", "TLS_KEY", "TOKEN_FILE", "TOKEN"):
        monkeypatch.delenv(f"EXATRKX_{name}", raising=False)


def secret(path: Path, text: str, mode: int = 0o600) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    path.chmod(mode)
    return path


def parsed(*words: str) -> Credentials:
    parser = argparse.ArgumentParser()
    add_credentials_arguments(parser)
    return Credentials.from_environment(parser.parse_args(words))


def test_nothing_is_shown_unless_it_is_named() -> None:
    assert Credentials.from_environment() == parsed() == Credentials()
    assert Credentials().all_headers == {}


def test_options_come_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXATRKX_TOKEN", "variable")
    assert parsed().token == "variable"
    monkeypatch.setenv("EXATRKX_TOKEN_FILE", str(secret(tmp_path / "a", " of-a-file\n")))
    monkeypatch.setenv("EXATRKX_TLS_CA", "ca.pem")
    assert parsed() == Credentials(ca=Path("ca.pem"), token="of-a-file")
    options = ("--token-file", str(secret(tmp_path / "b", "option")), "--tls-cert", "c.pem", "--tls-key", "k.pem")
    assert parsed(*options) == Credentials(Path("ca.pem"), Path("c.pem"), Path("k.pem"), "option")


def test_a_token_is_in_no_text() -> None:
    credentials = Credentials(token="sesame")
    assert "sesame" not in f"{credentials} {credentials!r}"
    assert credentials.all_headers == {"authorization": "Bearer sesame"}


def test_more_headers() -> None:
    credentials = Credentials(token="sesame", headers={"x-key": "open"})
    assert credentials.all_headers == {"authorization": "Bearer sesame", "x-key": "open"}
    assert "open" not in repr(credentials)


@pytest.mark.parametrize("text", ["", "\n", "open sesame", "sesame\nsesame", "a=b", "sésame", "sesame\x00"])
def test_what_is_no_token(tmp_path: Path, text: str) -> None:
    path = secret(tmp_path / "token", text)
    with pytest.raises(CredentialsError, match="token") as caught:
        parsed("--token-file", str(path))
    assert "sesame" not in str(caught.value).replace(str(path), "")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, False), (0o644, True), (0o602, True)])
def test_secrets_that_others_can_read(
    tmp_path: Path, mode: int, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    parsed("--token-file", str(secret(tmp_path / "token", "sesame", mode)))
    assert (f"warning: {tmp_path / 'token'}: every user" in capsys.readouterr().err) == warned


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    ours = authority(tmp_path, "ours")
    one, other = signed(ours, "one", "DNS:one"), signed(ours, "other", "DNS:other")
    Credentials(ours.pem, one.pem, one.key).context(Address.parse("grpcs://localhost:1"))
    for wrong, reason in (
        (Credentials(ours.pem, one.pem, other.key), "key values mismatch"),
        (Credentials(ours.pem, one.pem), "belong together"),
        (Credentials(ours.pem, None, one.key), "belong together"),
        (Credentials(tmp_path / "nothing"), "No such file"),
        (Credentials(one.key), "no certificates"),
        (Credentials(ours.pem, one.key, one.key), "no certificate with its key"),
    ):
        with (
            pytest.raises(CredentialsError, match=reason) as caught,
            TrackingClient("grpcs://localhost:1", credentials=wrong),
        ):
            pytest.fail("it was taken")
        assert "PRIVATE" not in str(caught.value)


@pytest.mark.parametrize("url", ["127.0.0.1:8001", "http://127.0.0.1:8000"])
def test_certificates_for_a_connection_without_tls(tmp_path: Path, url: str) -> None:
    """Are refused: what was meant to be encrypted would not be."""
    with pytest.raises(CredentialsError, match="without TLS"):
        TrackingClient(url, credentials=Credentials(ca=tmp_path / "ca.pem"))
