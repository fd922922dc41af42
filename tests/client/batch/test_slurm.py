"""exatrkx batch on a real Slurm: its workers are jobs, and end with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import slurm

from exatrkx.project_files import project_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exatrkx_server import TritonServer

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
