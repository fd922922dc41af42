"""The figures that this project sets itself, each measured the way a user meets it."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from exatrkx.contract import ENSEMBLE
from exatrkx_client import TrackingClient
from exatrkx_perf.direct import DirectRequest, run_direct
from exatrkx_perf.errors import MeasurementError
from exatrkx_perf.events import Sample
from exatrkx_perf.paths import ROOT
from exatrkx_perf.spread import Spread, ratio
from exatrkx_perf.usage import UsageMonitor, process_tree, resident_bytes
from exatrkx_server import ServerError, ServerOptions, TritonServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exatrkx_perf.events import FeatureArray

SPACEPOINTS: Final = 2000
"""The size of event to which the figures refer."""

_GIB: Final = 1 << 30
_CALLS: Final = 40
_WARM_CALLS: Final = 10
_PATIENCE_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure: what it is, its unit, what was measured and what it is to be at most."""

    name: str
    unit: str
    measured: Spread
    at_most: float

    @property
    def met(self) -> bool:
        return self.measured.median <= self.at_most


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopwatch:
    """How the figures of one machine are measured.

    Attributes:
        repository: model repository, with networks.
        event: the event that is sent.
        threads: computing threads of each process.
        repeats: how often everything is measured, in turn.
        log_folder: where the servers' logs go.
    """

    repository: Path
    event: FeatureArray
    threads: int
    repeats: int = 3
    log_folder: Path = Path()

    def goals(self) -> list[Goal]:
        """Direct call, one client of the ensemble, and the memory and start of a server with every model.

        Raises:
            MeasurementError: the pipeline or the server failed.
        """
        direct: dict[int, float] = {}
        ensemble: dict[int, float] = {}
        memory, ready = [], []
        for repeat in range(self.repeats):
            direct[repeat] = self.direct_ms()
            with self._server() as server:
                ensemble[repeat] = self.ensemble_ms(server)
                memory.append(resident_bytes(process_tree(psutil.Process(server.pid))) / _GIB)
                ready.append(server.ready_after_s)
        event = f"event of {len(self.event):,} spacepoints, {self.threads} thread{'s' if self.threads > 1 else ''}"
        found = [
            (f"direct pipeline, {event}", "ms", Spread.of(direct.values()), 40.0),
            (f"ensemble / direct, one client, {event}", "", ratio(ensemble, direct, paired=True), 1.5),
            ("server with all models, resident memory", "GiB", Spread.of(memory), 3.0),
            ("server with all models, ready after", "s", Spread.of(ready), 20.0),
        ]
        return [Goal(name, unit, spread, limit) for name, unit, spread, limit in found if spread is not None]

    def crowded_goals(self) -> list[Goal]:
        """The same event through the ensemble of a server that serves nothing else: time, and most memory of it all.

        For an event of high pile-up: a call takes seconds, so there is one to warm up and one for each repeat.

        Raises:
            MeasurementError: the server failed.
        """
        seconds = []
        with (
            self._server(ENSEMBLE.name) as server,
            TrackingClient(server.grpc_url, timeout_s=_PATIENCE_S) as client,
            UsageMonitor(server.pid) as monitor,
        ):
            for _ in range(1 + self.repeats):
                began = time.perf_counter()
                client.find_tracks(self.event)
                seconds.append(time.perf_counter() - began)
        event = f"event of {len(self.event):,} spacepoints, {self.threads} thread{'s' if self.threads > 1 else ''}"
        time_spread = Spread.of(seconds[1:])
        assert time_spread is not None
        return [
            Goal(f"ensemble, {event}", "s", time_spread, 10.0),
            Goal(f"server's most resident memory, {event}", "GiB", _once(monitor.usage.rss_mib / 1024), 6.0),
        ]

    def direct_ms(self) -> float:
        """Median time of a call, in a process of its own."""
        request = DirectRequest(repository=self.repository, threads=self.threads, events=_CALLS)
        # Many times the same event: the first round warms up.
        figures, _ = run_direct(Sample("one event", (self.event,) * _WARM_CALLS), request)
        return figures.p50_ms

    def ensemble_ms(self, server: TritonServer) -> float:
        """Median time of a call of the Python client, over gRPC."""
        with TrackingClient(server.grpc_url) as client:
            seconds = []
            for _ in range(_WARM_CALLS + _CALLS):
                began = time.perf_counter()
                client.find_tracks(self.event)
                seconds.append(time.perf_counter() - began)
        return 1e3 * statistics.median(seconds[_WARM_CALLS:])

    @contextlib.contextmanager
    def _server(self, *models: str) -> Iterator[TritonServer]:
        log_file = self.log_folder / f"figures-t{self.threads}.log"
        options = ServerOptions(models=models, threads=self.threads, log_file=log_file)
        try:
            with TritonServer(self.repository, options) as server:
                yield server
        except ServerError as error:
            raise MeasurementError(str(error)) from error


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
    return [
        Goal("make demo, fresh clone, packages in pip's cache", "s", _once(install_demo + demo), 300.0),
        Goal("make demo, after installing", "s", _once(demo), 120.0),
        Goal("make test, after installing", "s", _once(test), 600.0),
    ]


def _once(value: float) -> Spread:
    return Spread(value, value, value, 1)


def _timed(command: Sequence[str], folder: Path) -> float:
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
    )
    if done.returncode != 0:
        end = "\n".join(done.stdout.splitlines()[-20:])
        raise MeasurementError(f"{' '.join(command)} ended with {done.returncode}:\n{end}")
    return time.monotonic() - began
