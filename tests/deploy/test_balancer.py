"""The command that writes configurations of load balancers: what it makes of a list, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from exatrkx.errors import ExitCode
from exatrkx_server.balancer import main
from exatrkx_server.balancer_configurations import GRPC_PATHS

ROOT = Path(__file__).resolve().parents[2]


def server(port: int, **more: str) -> dict[str, str]:
    return {"grpc_url": f"10.0.0.1:{port + 1}", "http_url": f"http://10.0.0.1:{port}", **more}


def configured(folder: Path, program: str, servers: object, *options: str) -> str:
    """What the command writes."""
    listed = folder / "servers.json"
    listed.write_text(json.dumps(servers))
    output = folder / "configuration"
    assert main([program, str(listed), "--output", str(output), *options]) == ExitCode.DONE
    return output.read_text()


def hosts(cluster: dict[str, Any]) -> list[tuple[int, int]]:
    """Port, and health port, of each server of one of Envoy's clusters."""
    (group,) = cluster["load_assignment"]["endpoints"]
    ends = [end["endpoint"] for end in group["lb_endpoints"]]
    return [(end["address"]["socket_address"]["port_value"], end["health_check_config"]["port_value"]) for end in ends]


def test_supervised_servers_are_asked_for_their_own_readiness(tmp_path: Path) -> None:
    health = [{"health_url": f"http://10.0.0.1:{port}"} for port in (8003, 8013)]
    both = {"servers": [server(8000, **health[0]), server(8010, **health[1])]}
    text = configured(tmp_path, "haproxy", both)
    assert "option httpchk GET /ready" in text
    assert re.findall(r"server server\d 10\.0\.0\.1:(\d+) .*check check-proto h1 port (\d+)", text) == [
        ("8001", "8003"),
        ("8011", "8013"),
    ]
    remark, _, content = configured(tmp_path, "envoy", both).partition("\n")
    assert remark.startswith("#"), "of YAML, which the rest is, too"
    grpc, http = json.loads(content)["static_resources"]["clusters"]
    assert (hosts(grpc), hosts(http)) == ([(8001, 8003), (8011, 8013)], [(8000, 8003), (8010, 8013)])
    assert grpc["health_checks"][0]["http_health_check"] == {"path": "/ready"}


@pytest.mark.parametrize("program", ["haproxy", "envoy"])
def test_other_servers_are_asked_for_tritons(program: str, tmp_path: Path) -> None:
    only = server(8000)
    text = configured(tmp_path, program, only)
    assert "/v2/health/ready" in text
    assert configured(tmp_path, program, {"servers": [only, only]}) == text, "each is listed once"


def test_the_example_of_a_proxy_lets_the_same_pass() -> None:
    assert GRPC_PATHS in (ROOT / "deploy" / "nginx.conf").read_text()


@pytest.mark.parametrize(
    ("servers", "options", "reason"),
    [
        ({"servers": []}, (), "servers.json: no list of servers"),
        ({"grpc_url": "10.0.0.1:1"}, (), "10.0.0.1:1: the list has no http_url of it"),
        (server(1) | {"grpc_url": "grpcs://10.0.0.1:2"}, (), "on one host, and without TLS"),
        (server(1) | {"grpc_url": "10.0.0.2:2"}, (), "on one host, and without TLS"),
        (server(1) | {"http_url": "ftp://10.0.0.1"}, (), "the scheme must be one of"),
        (server(1), ("--tls-cert", "a.pem"), "TLS needs --tls-cert and --tls-key"),
        (server(1), ("--tls-ca", "a.pem"), "--tls-ca comes on top"),
        (server(1), ("--tls-cert", "a.pem", "--tls-key", "b.pem"), r"haproxy takes the key from .*a\.pem itself, or"),
    ],
)
def test_what_cannot_be_balanced(
    servers: object, options: tuple[str, ...], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "servers.json"
    listed.write_text(json.dumps(servers))
    assert main(["haproxy", str(listed), "--output", str(tmp_path / "none"), *options]) == ExitCode.USAGE
    assert re.search(reason, capsys.readouterr().err)
    assert not (tmp_path / "none").exists()
