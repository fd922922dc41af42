"""Container image for the CPU, from a base that Debian's own archive gives: built, started and asked."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

import container
import psutil
import pytest

from exatrkx.contract import CUSTOM, ENSEMBLE
from exatrkx.events.event import features
from exatrkx.events.readers import read_events
from exatrkx.pipeline import Pipeline
from exatrkx.project_files import project_files
from exatrkx_client import TrackingClient

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.container, pytest.mark.server, pytest.mark.slow]

ROOT: Final = Path(__file__).resolve().parents[2]
BASE: Final = "localhost/debian:test"
IMAGE: Final = "localhost/exatrkx:test"
STOP_S: Final = 120


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[container.Buildah]:
    """With the image built; gigabytes, which are removed at the end."""
    if absent := container.missing():
        pytest.skip(f"an image needs {absent}: make test-container")
    torch = metadata.version("torch")
    if not torch.endswith("+cpu"):
        pytest.skip(f"torch {torch} brings gigabytes of CUDA libraries")
    folder = tmp_path_factory.mktemp("container")
    if reason := container.debian(folder / "debian"):
        pytest.skip(f"debootstrap reaches no archive: {reason}")
    # The build of torch that is here, and the certificate that pip is told to believe.
    pip = folder / "pip"
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(pip), f"torch=={torch}"]
    subprocess.run(download, check=True)
    arguments = {"BASE": BASE, "PIP_FIND_LINKS": "/pip"}
    if certificate := os.environ.get("PIP_CERT"):
        shutil.copy(certificate, pip / "certificate.pem")
        arguments["PIP_CERT"] = "/pip/certificate.pem"
    images = container.Buildah(folder)
    try:
        images.import_root(folder / "debian", BASE)
        images.build(ROOT, ROOT / "deploy" / "Containerfile", IMAGE, f"{pip}:/pip:ro", **arguments)
        yield images
    finally:
        images("rm", "--all")
        shutil.rmtree(folder)


def test_the_image_serves_as_a_user_who_may_write_nothing(buildah: container.Buildah, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    configuration = buildah.configuration(IMAGE)
    user = configuration["User"]
    number = buildah("from", IMAGE)
    options = ["--host", "127.0.0.1", "--health-port", "0", "--free-ports", "--ports-file", "/shared/ports.json"]
    options += ["--log-file", "/shared/server.log", "--custom-backend", "compiled", "--stages", "compiled"]
    run = ["run", "--isolation", "chroot", "--user", user, "--volume", f"{tmp_path}:/shared", number, "--"]
    command = buildah.command(*run, *configuration["Entrypoint"], *configuration["Cmd"], *options)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            assert ready.startswith("ready after "), process.communicate()[1]
            assert "stages: compiled" in ready
            addresses = json.loads((tmp_path / "ports.json").read_text())
            server = psutil.Process(addresses["pid"])
            assert f"{server.uids().real}:{server.gids().real}" == user
            pipeline, events = Pipeline.from_weights(), read_events(project_files().events)
            for event, model in zip(events, (ENSEMBLE, CUSTOM), strict=False):
                with TrackingClient(addresses["grpc_url"], model.name) as client:
                    assert client.find_tracks(event).tolist() == pipeline(features(event)).labels.tolist()
            family = [server, *server.children(recursive=True)]
            owned = buildah(
                "run", "--isolation", "chroot", number, "--", "find", "/opt", "-user", user.partition(":")[0]
            )
            assert not owned
            server.parents()[0].send_signal(signal.SIGTERM)
            assert process.wait(STOP_S) == 0
            assert not psutil.wait_procs(family, timeout=STOP_S)[1]
        finally:
            process.kill()
            print(process.communicate()[1], (tmp_path / "server.log").read_text(errors="replace")[-4000:])
