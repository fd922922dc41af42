"""Jobs on a real Slurm: workers of exatrkx batch, which end with it, and a server that clients find."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
import pytest
import slurm

from exatrkx.events.event import features
from exatrkx.events.readers import read_events
from exatrkx.events.saved_tracks import read_labels
from exatrkx.pipeline import Pipeline
from exatrkx.project_files import project_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exatrkx_server import TritonServer

JOB: Final = Path(__file__).resolve().parents[3] / "deploy" / "slurm" / "serve.sh"
TOKEN: Final = "a-token-of-this-job"
EVENTS: Final = 2
WAIT_S: Final = 300

pytestmark = [pytest.mark.slurm, pytest.mark.server, pytest.mark.slow]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    if absent := slurm.missing():
        pytest.skip(f"a Slurm needs {absent}: make test-slurm")
    with slurm.slurm(tmp_path_factory.mktemp("slurm")) as running:
        yield running


def test_workers_are_jobs_of_slurm(environment: dict[str, str], trained_server: TritonServer, tmp_path: Path) -> None:
    """With the configuration of client/README.md, whose file is read where Dask is told to look."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "jobqueue.yaml").write_text(
        "jobqueue:\n  slurm: {cores: 1, memory: 1GiB, processes: 1, interface: lo, walltime: '00:10:00', "
        "job-extra-directives: ['--mem=0']}\n"
    )
    words = [sys.executable, "-m", "exatrkx_batch", str(project_files().events), "--url", trained_server.grpc_url]
    done = {}
    for where in ("slurm", "local"):
        output = tmp_path / where
        again = subprocess.run(
            [*words, "--output", output, "--cluster", where, "--workers", "2"],
            env=environment | {"DASK_CONFIG": str(tmp_path / "config")},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert again.returncode == 0, again.stderr
        done[where] = {str(f.relative_to(output)): f.read_bytes() for f in output.rglob("*") if f.is_file()}
    assert done["slurm"] == done["local"]
    states = subprocess.run(["squeue", "--noheader"], env=environment, capture_output=True, text=True, check=True)
    assert "RUNNING" not in states.stdout
    assert list(tmp_path.glob("slurm-*.out")), "jobs have run"


def output_of(environment: dict[str, str], *command: str | Path) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=WAIT_S)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def await_job(environment: dict[str, str], job: str, state: str, also: Callable[[], bool] = lambda: True) -> str:
    """What Slurm says of a job once it is in this state, and another condition holds."""
    deadline = time.monotonic() + WAIT_S
    while True:
        told = output_of(environment, "scontrol", "show", "job", job)
        if f"JobState={state} " in told and also():
            return told
        over = any(f"JobState={end} " in told for end in ("FAILED", "TIMEOUT")) or time.monotonic() > deadline
        assert not over, told + "".join(file.read_text() for file in Path(environment["JOBS"]).glob(f"*{job}.*"))
        time.sleep(0.2)


@pytest.mark.parametrize("end", ["scancel", "time limit"])
def test_a_server_is_a_job_that_clients_find(environment: dict[str, str], tmp_path: Path, end: str) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = environment | {"PATH": path, "JOBS": str(tmp_path)}
    servers, token, tracks = tmp_path / "servers.json", tmp_path / "token", tmp_path / "tracks.parquet"
    token.write_text(TOKEN)
    token.chmod(0o600)
    size = ["--cpus-per-task=1", "--time=30", f"--chdir={tmp_path}"]
    submitted = time.monotonic()
    job = output_of(
        environment, "sbatch", "--parsable", *size, JOB, servers, "--host", "127.0.0.1", "--token-file", token
    )
    await_job(environment, job, "RUNNING", servers.exists)
    server = psutil.Process(json.loads(servers.read_text())["pid"])
    family = [server, *server.parents()[:1], *server.children(recursive=True)]

    find: list[str | Path] = ["exatrkx", "find", project_files().events, "--servers", servers, "--limit", str(EVENTS)]
    output_of(environment, "srun", "--ntasks=1", *find, "--token-file", token, "--output", tracks)
    pipeline = Pipeline.from_weights()
    for event, _ in zip(read_events(project_files().events), range(EVENTS), strict=False):
        assert read_labels(tracks, event).tolist() == pipeline(features(event)).labels.tolist()

    if end == "scancel":
        output_of(environment, "scancel", job)
        await_job(environment, job, "CANCELLED")
    else:
        minutes = int(time.monotonic() - submitted) // 60 + 2
        output_of(environment, "scontrol", "update", f"JobId={job}", f"TimeLimit={minutes}")
        assert "ExitCode=0:0" in await_job(environment, job, "COMPLETED"), "by the signal before the limit"
    assert not psutil.wait_procs(family, timeout=WAIT_S)[1]
    assert not servers.exists()
    log = (tmp_path / f"tritonserver-{job}.log").read_text()
    assert TOKEN not in log + (tmp_path / f"slurm-{job}.out").read_text()
