"""Configuration of Prometheus, alerts and dashboard: by promtool, and by a real Prometheus that scrapes a real service.

Servers without a GPU have no metrics of one: those queries are parsed by Prometheus, and no more.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from serve_process import LINE_TIMEOUT_S, ROOT, Serving
from tiny_networks import clumps

from exatrkx_client import ServerUnavailableError, TrackingClient
from exatrkx_client.answer import TrackResult
from exatrkx_client.metrics import ClientMetrics
from exatrkx_client.retry import Retry
from exatrkx_server.options import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS: Final = ("prometheus", "promtool", "prometheus-node-exporter")
MISSING: Final = [program for program in PROGRAMS if shutil.which(program) is None]
needs_prometheus = pytest.mark.skipif(
    bool(MISSING), reason=f"no {', '.join(MISSING)}: Debian's prometheus and prometheus-node-exporter"
)

MONITORING: Final = ROOT / "deploy" / "monitoring"
DASHBOARD: Final = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
PANELS: Final[list[dict[str, Any]]] = DASHBOARD["panels"]
QUERIES: Final[list[str]] = [target["expr"] for panel in PANELS for target in panel["targets"]]
WINDOW: Final = {"$__rate_interval": "20s", '"$server"': '".+"', '"$run"': '".+"', "[1h]": "[20s]"}
"""What Grafana puts in place of its variables."""


def promtool(*arguments: str, text: str | None = None) -> None:
    done = subprocess.run(
        ["promtool", *arguments], input=text, capture_output=True, text=True, check=False, cwd=MONITORING
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


@needs_prometheus
@pytest.mark.parametrize(
    "arguments",
    ["check config --lint-fatal prometheus.yml", "check rules --lint-fatal alerts.yml", "test rules alerts_test.yml"],
)
def test_configuration_and_alerts(arguments: str) -> None:
    promtool(*arguments.split())


def test_panels_have_places_and_numbers_of_their_own() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for one, other in combinations([panel["gridPos"] for panel in PANELS], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    assert max(panel["gridPos"]["x"] + panel["gridPos"]["w"] for panel in PANELS) == 24


@contextlib.contextmanager
def running(*command: str | Path, log: Path) -> Iterator[None]:
    """A program that runs within the `with`."""
    with log.open("w") as output, subprocess.Popen(list(map(str, command)), stdout=output, stderr=output) as process:
        try:
            yield
        finally:
            process.terminate()


class Prometheus:
    """Questions to a running one."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer that is no error."""
        with urllib.request.urlopen(f"{self._url}/{path}?{urllib.parse.urlencode(parameters)}", timeout=10) as answer:
            found = json.load(answer)
        assert found["status"] == "success"
        return found["data"]

    def numbers(self, query: str) -> list[float]:
        """What a dashboard's query gives, without what is undefined."""
        for name, value in WINDOW.items():
            query = query.replace(name, value)
        values = [float(sample["value"][1]) for sample in self.ask("query", query=query)["result"]]
        return [value for value in values if math.isfinite(value)]

    def targets(self) -> dict[str, str]:
        """How each job is, by name."""
        with contextlib.suppress(OSError):  # it still starts
            return {one["labels"]["job"]: one["health"] for one in self.ask("targets")["activeTargets"]}
        return {}


@pytest.fixture
def serving(tiny_repository: Path, tmp_path: Path) -> Iterator[Serving]:
    options = ("--free-ports", "--latency-percentiles", "--probe-every=0.5", "--custom-backend=python")
    with Serving(tiny_repository, tmp_path, "--models=exatrkx_ensemble", *options) as serving:
        serving.ready_line()
        yield serving


@contextlib.contextmanager
def prometheus(serving: Serving, folder: Path) -> Iterator[Prometheus]:
    """Prometheus with the project's files and the ports of a service, and a node exporter with this folder's files."""
    ports = free_ports()
    pages = serving.addresses()
    places = {"8003": pages["health_url"].rpartition(":")[2], "8002": re.findall(r":(\d+)/", pages["metrics_url"])[0]}
    text = (MONITORING / "prometheus.yml").read_text()
    for usual, port in {**places, "9100": str(ports.http)}.items():
        assert text.count(f"127.0.0.1:{usual}") == 1
        text = text.replace(f"127.0.0.1:{usual}", f"127.0.0.1:{port}")
    (folder / "prometheus.yml").write_text(text.replace("interval: 5s", "interval: 1s"))
    shutil.copy(MONITORING / "alerts.yml", folder)
    exporter = ["prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile"]
    exporter += [f"--collector.textfile.directory={folder}", f"--web.listen-address=127.0.0.1:{ports.http}"]
    program = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    program += [f"--web.listen-address=127.0.0.1:{ports.grpc}"]
    with running(*exporter, log=folder / "exporter.log"), running(*program, log=folder / "prometheus.log"):
        found = Prometheus(ports.grpc)
        serving.until(lambda: found.targets() == dict.fromkeys(("exatrkx", "triton", "node"), "up"))
        yield found


@needs_prometheus
@pytest.mark.server
def test_every_query_of_the_dashboard_has_data(serving: Serving, tmp_path: Path) -> None:
    url = serving.addresses()["grpc_url"]
    events, nobody = clumps(5, 4)[0], ClientMetrics(tmp_path / "nobody.prom", "exatrkx_ensemble")
    with TrackingClient("127.0.0.1:9", retry=Retry(attempts=1), metrics=nobody) as client:
        for _ in range(2):
            with pytest.raises(ServerUnavailableError):
                client.find_tracks(events)
    metrics = ClientMetrics(tmp_path / "night.prom", "exatrkx_ensemble")
    left = [query for query in QUERIES if "nv_gpu_" not in query]
    gpu = [query for query in QUERIES if "nv_gpu_" in query]
    assert len(left) > 15
    assert len(gpu) == 5
    with prometheus(serving, tmp_path) as found, TrackingClient(url, metrics=metrics) as client:
        deadline = time.monotonic() + LINE_TIMEOUT_S
        while left:  # a small load, until all is there
            assert time.monotonic() < deadline, left
            client.find_tracks(events)
            metrics.write()
            left = [query for query in left if not found.numbers(query)]
        assert [found.numbers(query) for query in gpu] == [[]] * len(gpu)  # parsed
        (group,) = found.ask("rules")["groups"]
        serving.until(lambda: {rule["health"] for rule in found.ask("rules")["groups"][0]["rules"]} == {"ok"})
        assert len(group["rules"]) == 8
        firing = {rule["name"] for rule in group["rules"] if rule["state"] == "firing"}
        assert firing == set()
        assert found.numbers('sum(exatrkx_client_failures_total{run="nobody"})') == [2.0]
        asked, served = (found.numbers(f"sum({name})")[0] for name in ("exatrkx_memory_bytes", "exatrkx_max_queue"))
        assert asked > 2e8
        assert served == 64
    for text in (metrics.text(), serving.health("/metrics")[1] + "\n"):
        promtool("check", "metrics", text=text)


def test_client_metrics_by_hand(tmp_path: Path) -> None:
    """Counts of what was given, against buckets that are counted otherwise; labels that need escapes."""
    metrics = ClientMetrics(tmp_path / 'a"b.prom', "m")
    result = TrackResult(clumps(1, 1)[1], 0.0, answered_by="grpc://a:1", attempts=3)
    times = [0.0005, 0.001, 0.0011, 0.3, 200.0]
    for seconds in times:
        metrics.answered(replace(result, seconds=seconds))
    metrics.answered(replace(result, answered_by="direct", attempts=0))
    metrics.failed(ServerUnavailableError("away"))
    metrics.write()
    text = (tmp_path / 'a"b.prom').read_text()
    assert 'run="a\\"b"' in text
    found = re.findall(r'_bucket\{run="a\\"b",model="m",answered_by="grpc://a:1",le="(.*)"\} (\d+)', text)
    assert [int(count) for _, count in found] == [sum(one <= float(end) for one in times) for end, _ in found]
    assert found[-1] == ("+Inf", "5")
    assert 'exatrkx_client_retries_total{run="a\\"b",model="m"} 10\n' in text
    assert 'answered_by="direct"} 1\n' in text
    assert 'error="ServerUnavailableError"} 1\n' in text


def test_metrics_that_cannot_be_written_cost_no_event(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ClientMetrics(tmp_path / "away" / "m.prom", "m").write()
    assert "m.prom: cannot be written" in caplog.text
