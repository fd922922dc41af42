"""The project's own figures, each measured the way a user meets it."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil

from exatrkx.contract import ENSEMBLE
from exatrkx_client import TrackingClient
from exatrkx_perf import ROOT
from exatrkx_perf.direct import run_direct
from exatrkx_perf.errors import MeasurementError
from exatrkx_perf.events import EventSample
from exatrkx_perf.goals import Goal, measured_goals
from exatrkx_perf.median_range import MedianRange, ratio
from exatrkx_perf.tables import counted
from exatrkx_perf.timing import seconds_of
from exatrkx_perf.usage import UsageMonitor, process_tree, proportional_bytes
from exatrkx_server import ServerOptions, TritonServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exatrkx_perf.events import FeatureArray

SPACEPOINTS: Final = 2000
"""The size of event to which the figures refer."""

_GIB: Final = 1 << 30
_CALLS: Final = 40
_WARM_CALLS: Final = 10
_PATIENCE_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectFigures:
    """How the figures of one machine are measured: with so many threads in each process, repeats in turn."""

    repository: Path
    event: FeatureArray
    threads: int
    repeats: int = 3
    log_folder: Path = Path()

    def goals(self) -> list[Goal]:
        """Direct call, one client of the ensemble, and a server of all models: memory, shared pages once, and start.

        Raises:
            MeasurementError: the pipeline failed.
            ExatrkxError: the server did not start, or failed.
        """
        direct: dict[int, float] = {}
        ensemble: dict[int, float] = {}
        memory, ready = [], []
        for repeat in range(self.repeats):
            direct[repeat] = self.direct_ms()
            with self._server() as server:
                ensemble[repeat] = self.ensemble_ms(server)
                memory.append(proportional_bytes(process_tree(psutil.Process(server.pid))) / _GIB)
                ready.append(server.ready_after_s)
        return measured_goals(
            (f"direct pipeline, {self._event}", MedianRange.of(direct.values()), 40.0, "ms"),
            (f"ensemble / direct, one client, {self._event}", ratio(ensemble, direct, paired=True), 1.5, ""),
            ("server with all models, resident memory", MedianRange.of(memory), 3.0, "GiB"),
            ("server with all models, ready after", MedianRange.of(ready), 20.0, "s"),
        )

    def crowded_goals(self) -> list[Goal]:
        """The same event through the ensemble of a server that serves nothing else: time, and most memory of it all.

        For an event of high pile-up: a call takes seconds, so there is one to warm up and one for each repeat; for the
        memory, in which pages that its processes share count once, as many again.

        Raises:
            ExatrkxError: the server did not start, or failed.
        """
        with (
            self._server(ENSEMBLE.name) as server,
            TrackingClient(server.grpc_url, timeout_s=_PATIENCE_S) as client,
        ):
            seconds = seconds_of(1 + self.repeats, lambda: client.find_tracks(self.event))
            with UsageMonitor(server.pid, shared_once=True) as monitor:
                seconds_of(self.repeats, lambda: client.find_tracks(self.event))
        memory = MedianRange.of([monitor.usage.rss_mib / 1024])
        return measured_goals(
            (f"ensemble, {self._event}", MedianRange.of(seconds[1:]), 10.0, "s"),
            (f"server's most resident memory, {self._event}", memory, 6.0, "GiB"),
        )

    def direct_ms(self) -> float:
        """Median time of a call, in a process of its own."""
        sample = EventSample("one event", (self.event,) * _WARM_CALLS)  # the first round warms up
        figures, _ = run_direct(sample, self.repository, events=_CALLS, threads=self.threads)
        return figures.p50_ms

    def ensemble_ms(self, server: TritonServer) -> float:
        """Median time of a call of the Python client, over gRPC."""
        with TrackingClient(server.grpc_url) as client:
            seconds = seconds_of(_WARM_CALLS + _CALLS, lambda: client.find_tracks(self.event))
        return 1e3 * statistics.median(seconds[_WARM_CALLS:])

    @property
    def _event(self) -> str:
        return f"event of {len(self.event):,} spacepoints, {counted(self.threads, 'thread')}"

    def _server(self, *models: str) -> TritonServer:
        log_file = self.log_folder / f"figures-t{self.threads}.log"
        return TritonServer(self.repository, ServerOptions(models=models, threads=self.threads, log_file=log_file))


def command_goals(root: Path = ROOT, make: str = "make") -> list[Goal]:
    """`make demo` and `make test` in a fresh clone, installing and running timed apart; a quarter of an hour.

    Raises:
        MeasurementError: one failed; the text has the end of what it printed.
    """
    with tempfile.TemporaryDirectory(prefix="exatrkx-clone-") as scratch:
        clone = Path(scratch) / "clone"
        _timed(["git", "clone", "--quiet", str(root), str(clone)], Path(scratch))
        install_demo = _timed([make, ".venv/serve.installed"], clone)
        demo = _timed([make, "demo"], clone)
        _timed([make, ".venv/dev.installed"], clone)
        test = _timed([make, "test"], clone)
    return measured_goals(
        ("make demo, fresh clone, packages in pip's cache", MedianRange.of([install_demo + demo]), 300.0, "s"),
        ("make demo, after installing", MedianRange.of([demo]), 120.0, "s"),
        ("make test, after installing", MedianRange.of([test]), 600.0, "s"),
    )


def _timed(command: Sequence[str], folder: Path) -> float:
    """Seconds that a command took."""

    def run() -> None:
        how: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        done = subprocess.run(command, cwd=folder, errors="replace", check=False, **how)
        if done.returncode != 0:
            end = "\n".join(done.stdout.splitlines()[-20:])
            raise MeasurementError(f"{' '.join(command)} ended with {done.returncode}:\n{end}")

    return seconds_of(1, run)[0]
