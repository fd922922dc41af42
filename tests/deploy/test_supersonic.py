"""Values for SuperSONIC's Helm chart: keys and types that its schema has, and the server that they start."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml

from exatrkx_server.serve_options import parse_arguments, server_options

VALUES: Final = Path(__file__).resolve().parents[2] / "deploy" / "supersonic" / "values.yaml"

INTEGER: Final = {"type": "integer"}
BOOLEAN: Final = {"type": "boolean"}
TEXT: Final = {"type": "string"}
TEXTS: Final = {"type": "array", "items": TEXT}


def closed(properties: dict[str, Any], *, all_required: bool = False) -> dict[str, Any]:
    """An object of these keys and no others."""
    found = {"type": "object", "properties": properties, "additionalProperties": False}
    return found | {"required": list(properties)} if all_required else found


def probe(asks: dict[str, Any]) -> dict[str, Any]:
    numbers = ("initialDelaySeconds", "periodSeconds", "failureThreshold", "timeoutSeconds")
    return closed({"reset": BOOLEAN} | dict.fromkeys(numbers, INTEGER) | asks, all_required=True)


# What of helm/supersonic/values.schema.json (2026) is used here, and stricter: no other key. What is required there and
# left out here, the chart's own values have.
QUANTITIES: Final = closed({"cpu": INTEGER, "memory": TEXT, "nvidia.com/gpu": INTEGER}, all_required=True)
PORT: Final = closed({"name": TEXT, "port": INTEGER, "targetPort": INTEGER, "protocol": TEXT}, all_required=True)
SCALE: Final = closed(
    {"stabilizationWindowSeconds": INTEGER, "periodSeconds": INTEGER, "stepsize": INTEGER}, all_required=True
)
SERVICE: Final = closed(
    {"labels": {"type": "object"}, "annotations": {"type": "object"}, "ports": {"type": "array", "items": PORT}},
    all_required=True,
)
TRITON: Final = closed({
    "image": TEXT,
    "command": TEXTS,
    "args": TEXTS,
    "resources": closed({"requests": QUANTITIES, "limits": QUANTITIES}, all_required=True),
    "service": SERVICE,
    "startupProbe": probe({"httpGet": closed({"path": TEXT, "port": TEXT}, all_required=True)}),
    "readinessProbe": probe({"command": TEXTS, "successThreshold": INTEGER}),
})  # fmt: skip
CHART: Final = closed({
    "triton": TRITON,
    "envoy": closed({"enabled": BOOLEAN, "loadBalancerPolicy": TEXT, "grpc_route_timeout": TEXT}),
    "keda": closed(
        {"enabled": BOOLEAN, "minReplicaCount": INTEGER, "maxReplicaCount": INTEGER, "scaleDown": SCALE}
    ),
    "prometheus": closed({"enabled": BOOLEAN}),
    "serverLoadMetric": TEXT,
    "serverLoadThreshold": INTEGER,
})  # fmt: skip


@pytest.fixture
def values() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(VALUES.read_text())
    return found


def test_valid_by_the_chart_s_schema(values: dict[str, Any]) -> None:
    jsonschema.validate(values, CHART)
    values["triton"]["resources"]["limits"]["cpu"] = "4"
    with pytest.raises(jsonschema.ValidationError, match="'4' is not of type 'integer'"):
        jsonschema.validate(values, CHART)


def test_the_server_takes_the_command_line(values: dict[str, Any]) -> None:
    triton = values["triton"]
    assert [*triton["command"], triton["args"][0]] == ["exatrkx", "serve"]
    options = parse_arguments(triton["args"][1:], "")
    ports = server_options(options).ports
    assert ports is not None
    listens = {"http": ports.http, "grpc": ports.grpc, "metrics": ports.metrics, "health": options.health_port}
    assert {port["name"]: port["port"] for port in triton["service"]["ports"]} == listens
    # The chart's Envoy looks for these by name, its Prometheus for the metrics by number.
    assert {"grpc", "http", "metrics"} <= set(listens)
    assert ports.metrics == 8002
    assert options.max_restarts == 0
    startup = triton["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] > options.start_timeout
    assert (startup["httpGet"]["path"], startup["httpGet"]["port"]) == ("/ready", "health")
    assert re.search(rf":{options.health_port}/ready'", triton["readinessProbe"]["command"][-1])


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool comes with Debian's prometheus")
def test_the_metric_is_a_query_of_prometheus(values: dict[str, Any], tmp_path: Path) -> None:
    """Sixteen requests on their way all the time, of which KEDA then makes four servers."""
    counter = 'envoy_cluster_upstream_rq_time_sum{release="supersonic", envoy_cluster_name="triton_grpc_service"}'
    expected = [{"labels": "{}", "value": 16.0}]
    asked = {"expr": values["serverLoadMetric"], "eval_time": "2m", "exp_samples": expected}
    series = [{"series": counter, "values": "0+240000x20"}]  # ms, each 15 s
    test = {"interval": "15s", "input_series": series, "promql_expr_test": [asked]}
    file = tmp_path / "metric.yml"
    file.write_text(yaml.safe_dump({"tests": [test]}))
    done = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert -(-16 // values["serverLoadThreshold"]) == 4
