"""A Slurm of one node, with munge, in a folder of its own; nothing of the system's configuration is read or written."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS: Final = ("munged", "slurmctld", "slurmd", "sbatch", "sinfo")
CONFIGURATION: Final = """\
ClusterName=exatrkx
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=batch Nodes={host} Default=YES State=UP
"""


def missing() -> str:
    """What a Slurm needs that is not here; empty where all is."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if os.geteuid():
        absent.append("root")
    return ", ".join(absent)


@contextmanager
def slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Within the `with` a node that takes jobs; gives the environment with which Slurm's commands find it."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    host = socket.gethostname().partition(".")[0]
    names = {"host": host, "folder": folder, "cpus": os.cpu_count(), "controller": free_port(), "node": free_port()}
    configuration = folder / "slurm.conf"
    configuration.write_text(CONFIGURATION.format(**names))
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    environment = os.environ | {"SLURM_CONF": str(configuration)}
    places = [f"--{name}={folder}/munge.{name}" for name in ("socket", "pid-file", "log-file", "seed-file")]
    daemons = (
        ["munged", "--foreground", "--force", f"--key-file={key}", *places],
        ["slurmctld", "-D", "-f", str(configuration)],
        ["slurmd", "-D", "-f", str(configuration), "-N", host],
    )
    with ExitStack() as stack:
        for words in daemons:
            log = stack.enter_context((folder / f"{words[0]}.log").open("w"))
            stack.callback(stop, subprocess.Popen(words, env=environment, stdout=log, stderr=subprocess.STDOUT))
        idle = ["srun", "--immediate=60", "true"]  # answers once controller and node know each other
        subprocess.run(idle, env=environment, check=True, timeout=90)
        yield environment


def stop(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(20)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
