"""Kubernetes manifests: valid by Kubernetes's own schemas, and in step with the server that they start."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import kubernetes_validate
import pytest
import yaml

from exatrkx_server.health import Health, health_endpoint
from exatrkx_server.serve_options import parse_arguments, server_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exatrkx_server import TritonServer

ROOT: Final = Path(__file__).resolve().parents[2]
MANIFESTS: Final = ROOT / "deploy" / "kubernetes"
COMPONENTS: Final = ("secure", "service-monitor")
VERSIONS: Final = ("1.30", kubernetes_validate.latest_version())
Manifests = dict[str, dict[str, Any]]


def kustomize(folder: Path) -> Manifests:
    """What Kustomize makes of a folder, by kind; there is one of each."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl is here")
    told = subprocess.run(
        ["kubectl", "version", "--client", "--output=json"], capture_output=True, text=True, check=True
    )
    if not (version := re.match(r"v(\d+)", json.loads(told.stdout).get("kustomizeVersion", ""))) or int(version[1]) < 5:
        pytest.skip("this kubectl has no Kustomize 5")
    built = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    documents = list(yaml.safe_load_all(built.stdout))
    found = {document["kind"]: document for document in documents}
    assert len(found) == len(documents)
    return found


@pytest.fixture(scope="module", params=["cpu", "gpu", "cpu and components", "gpu and components"])
def manifests(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Manifests:
    """Each overlay alone, and with everything that is optional."""
    overlay, _, more = request.param.partition(" ")
    if not more:
        return kustomize(MANIFESTS / overlay)
    copied = tmp_path_factory.mktemp("kubernetes") / "manifests"
    shutil.copytree(MANIFESTS, copied)
    with (copied / overlay / "kustomization.yaml").open("a") as kustomization:
        kustomization.write(yaml.safe_dump({"components": [f"../components/{name}" for name in COMPONENTS]}))
    return kustomize(copied / overlay)


@pytest.fixture
def pod(manifests: Manifests) -> dict[str, Any]:
    spec: dict[str, Any] = manifests["Deployment"]["spec"]["template"]["spec"]
    return spec


@pytest.fixture
def container(pod: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod["containers"]
    found: dict[str, Any] = only
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_valid_by_the_schemas_of_kubernetes(manifests: Manifests, version: str) -> None:
    for kind, manifest in manifests.items():
        if kind != "ServiceMonitor":  # that of Prometheus's operator
            kubernetes_validate.validate(manifest, version, strict=True)
    wrong = copy.deepcopy(manifests["Deployment"])
    wrong["spec"]["template"]["spec"]["containers"][0]["livenessprobe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="livenessprobe"):
        kubernetes_validate.validate(wrong, version, strict=True)


def test_the_server_takes_the_command_line(container: dict[str, Any]) -> None:
    serve, *arguments = container["args"]
    assert serve == "serve"
    options = parse_arguments(
        [argument for argument in arguments if not argument.startswith(("--tls-", "--token-"))], ""
    )
    ports = server_options(options).ports
    assert ports is not None
    listens = {"http": ports.http, "grpc": ports.grpc, "metrics": ports.metrics, "health": options.health_port}
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == listens
    assert (options.max_restarts, options.host) == (0, "0.0.0.0")
    wants = "gpu" if "nvidia.com/gpu" in container["resources"]["limits"] else "cpu"
    assert options.device == container["image"].rpartition(":")[2] == wants
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] > options.start_timeout


def test_probes_ask_what_the_health_endpoint_answers(container: dict[str, Any]) -> None:
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
    assert {probe["port"] for probe in probes.values()} == {"health"}
    health = Health()  # that of a server which starts: alive, not ready
    with health_endpoint("127.0.0.1", 0, health) as port:

        def status(name: str) -> int:
            try:
                url = f"http://127.0.0.1:{port}{probes[name]['path']}"
                return int(urllib.request.urlopen(url, timeout=60).status)
            except urllib.error.HTTPError as error:
                return error.code

        assert [status(name) for name in probes] == [503, 503, 200]
        health.set_ready()
        assert [status(name) for name in probes] == [200, 200, 200]


def test_nothing_is_written_but_into_memory_and_scratch(pod: dict[str, Any], container: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: volumes.pop(mount["name"]) for mount in container["volumeMounts"]}
    assert not volumes, "all are mounted"
    assert mounts["/dev/shm"]["emptyDir"]["medium"] == "Memory"
    assert "emptyDir" in mounts["/tmp"]
    files = [argument.partition("=")[2] for argument in container["args"] if re.match("--(tls|token)-", argument)]
    assert all(str(Path(file).parent) in mounts for file in files)
    assert container["resources"]["requests"] == container["resources"]["limits"]
    (user,) = re.findall(r"^USER (\d+):(\d+)$", (ROOT / "deploy" / "Containerfile").read_text(), re.MULTILINE)
    assert user == tuple(str(pod["securityContext"][f"runAs{who}"]) for who in ("User", "Group"))


def selectors(manifests: Manifests) -> Iterator[dict[str, str]]:
    for kind in ("Deployment", "PodDisruptionBudget"):
        yield manifests[kind]["spec"]["selector"]["matchLabels"]
    yield manifests["Service"]["spec"]["selector"]
    yield manifests["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]
    if "ServiceMonitor" in manifests:
        assert (
            manifests["ServiceMonitor"]["spec"]["selector"]["matchLabels"].items()
            <= manifests["Service"]["metadata"]["labels"].items()
        )


def test_all_speak_of_the_same_pods_and_ports(manifests: Manifests, container: dict[str, Any]) -> None:
    labels = manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    found = list(selectors(manifests))
    assert all(selector and selector.items() <= labels.items() for selector in found)
    target = manifests["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", manifests["Deployment"]["metadata"]["name"])
    names = {port["name"] for port in container["ports"]}
    service = manifests["Service"]["spec"]["ports"]
    assert {port["targetPort"] for port in service} == names
    rules = manifests["NetworkPolicy"]["spec"]["ingress"]
    assert {port["port"] for rule in rules for port in rule["ports"]} == names
    if "ServiceMonitor" in manifests:
        monitored = {endpoint["port"] for endpoint in manifests["ServiceMonitor"]["spec"]["endpoints"]}
        assert monitored <= {port["name"] for port in service}
        assert [port["appProtocol"] for port in service if port["name"] == "grpc"] == ["kubernetes.io/h2"], "with TLS"


@pytest.mark.server
def test_the_autoscaler_reads_metrics_that_the_server_has(server: TritonServer) -> None:
    text = urllib.request.urlopen(server.metrics_url, timeout=60).read().decode()
    metrics = kustomize(MANIFESTS / "gpu")["HorizontalPodAutoscaler"]["spec"]["metrics"]
    names = [metric["pods"]["metric"]["name"] for metric in metrics]
    assert names
    assert all(re.search(rf"^{name}\{{", text, re.MULTILINE) for name in names)
