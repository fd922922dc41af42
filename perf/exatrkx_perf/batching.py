"""Figures of a batch: its throughput over that of one client with as many requests in flight, and what it starts."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from itertools import cycle, islice
from typing import TYPE_CHECKING, Final

import psutil

from exatrkx.contract import ENSEMBLE
from exatrkx.events.parquet_writer import write_events
from exatrkx.events.readers import read_events
from exatrkx.progress import bar
from exatrkx_client.address import Address
from exatrkx_client.triton_api import TritonApi
from exatrkx_perf import EVENTS
from exatrkx_perf.errors import MeasurementError
from exatrkx_perf.goals import Goal, lower_goals
from exatrkx_perf.median_range import MedianRange, ratio
from exatrkx_perf.usage import cpu_seconds
from exatrkx_server import ServerOptions, TritonServer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LEAST_SHARE: Final = 0.95
_POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Run:
    """What a command took.

    Attributes:
        wall_s, cpu_s: from its beginning to its end; CPU time of all its processes, the server's not among them.
        server_s: CPU time of the server meanwhile.
        events_per_s: from the first answer of the server to the last; NaN where there were none.
    """

    wall_s: float
    cpu_s: float
    server_s: float
    events_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFigures:
    """How the figures are measured: so many files of so many events, for workers with requests in flight each.

    Attributes:
        repository: of the models.
        repeats: of batch and client in turn.
        folder: for files, artefacts and the server's log.
    """

    repository: Path
    files: int
    events: int
    workers: int
    in_flight: int
    repeats: int
    folder: Path

    def goals(self) -> list[Goal]:
        """Measure.

        Raises:
            MeasurementError: a command failed; the text has its last words.
            ExatrkxError: the server did not start, or failed.
        """
        files = self._write()
        runs: dict[str, dict[int, Run]] = {"batch": {}, "client": {}, "again": {}}
        options = ServerOptions(models=(ENSEMBLE.name,), threads=1, log_file=self.folder / "tritonserver.log")
        with TritonServer(self.repository, options) as server:
            common = [*files, "--url", server.grpc_url, "--model", ENSEMBLE.name]
            in_all = str(self.workers * self.in_flight)
            for repeat in bar(range(self.repeats), unit="repeat"):
                output = str(self.folder / f"batch{repeat}")
                own = ["--workers", str(self.workers), "--in-flight", str(self.in_flight), "--output", output]
                tracks = str(self.folder / f"tracks{repeat}.parquet")
                ways = {
                    "client": ["find", *common, "--in-flight", in_all, "--output", tracks],
                    "batch": ["batch", *common, *own],
                }
                for way in list(ways)[:: 1 - 2 * (repeat % 2)]:
                    runs[way][repeat] = self._run(server, ways[way])
                runs["again"][repeat] = self._run(server, ways["batch"])
        return self._goals(runs["batch"], runs["client"], runs["again"])

    def _goals(self, batch: dict[int, Run], client: dict[int, Run], again: dict[int, Run]) -> list[Goal]:
        total = self.files * self.events
        what = f"{self.files} files, {self.workers} workers"
        rates, whole, cpu, all_cpu = [], [], [], []
        for runs in (batch, client):
            rates.append({repeat: run.events_per_s for repeat, run in runs.items()})
            whole.append({repeat: total / run.wall_s for repeat, run in runs.items()})
            cpu.append(MedianRange.of(1e3 * run.cpu_s / total for run in runs.values()))
            all_cpu.append({repeat: run.cpu_s + run.server_s for repeat, run in runs.items()})
        start = [run.cpu_s for run in again.values()]
        beyond = MedianRange.of(1e3 * (run.cpu_s - min(start)) / total for run in batch.values())
        return lower_goals(
            (f"{what}: throughput of answers / one client's", ratio(*rates, paired=True), _LEAST_SHARE, ""),
            ("the same of the whole commands", ratio(*whole, paired=True), None, ""),
            ("the same by CPU time, the server's too", ratio(*all_cpu[::-1], paired=True), None, ""),
            ("one client, answers", MedianRange.of(rates[1].values()), None, "events/s"),
            ("batch with nothing left to do", MedianRange.of(run.wall_s for run in again.values()), None, "s"),
            ("its CPU time", MedianRange.of(start), None, "s"),
            ("CPU time of the batch for an event", cpu[0], None, "ms"),
            ("without that of one with nothing left to do", beyond, None, "ms"),
            ("CPU time of the client for an event", cpu[1], None, "ms"),
        )

    def _write(self) -> list[str]:
        """The files, of the bundled events again and again."""
        events = cycle(list(read_events([EVENTS])))
        paths = [self.folder / f"events{number}.parquet" for number in range(self.files)]
        for path in paths:
            write_events(path, islice(events, self.events))
        return list(map(str, paths))

    def _run(self, server: TritonServer, words: Sequence[str]) -> Run:
        answers: list[tuple[float, int]] = []
        over = threading.Event()

        def look() -> None:
            with TritonApi(Address.parse(server.grpc_url)) as api:
                while not over.wait(_POLL_S):
                    answers.append((time.monotonic(), api.statistics(ENSEMBLE.name)["success"][0]))

        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        root = psutil.Process(server.pid)
        before, of_server, began = os.times(), cpu_seconds(root), time.monotonic()
        done = subprocess.run([sys.executable, "-m", "exatrkx", *words], capture_output=True, text=True, check=False)
        wall_s, after, server_s = time.monotonic() - began, os.times(), cpu_seconds(root) - of_server
        over.set()
        watcher.join()
        if done.returncode != 0:
            raise MeasurementError(f"exatrkx {words[0]} ended with {done.returncode}: {done.stderr[-1000:]}")
        cpu_s = sum(after[2:4]) - sum(before[2:4])  # of children, and theirs
        return Run(wall_s, cpu_s, server_s, throughput(answers))


def throughput(answers: Sequence[tuple[float, int]]) -> float:
    """Answers per second out of their number at some times, from the last time with none to the first with all."""
    none = [when for when, number in answers if number == answers[0][1]]
    every = [when for when, number in answers if number == answers[-1][1]]
    number = answers[-1][1] - answers[0][1] if answers else 0
    return number / (every[0] - none[-1]) if number else float("nan")
