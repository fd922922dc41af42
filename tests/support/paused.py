"""Processes of a service that are paused (SIGSTOP) and continued under load, and what its clients are told then."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import psutil
from tiny_networks import clumps

from exatrkx_client import RequestRejectedError, TrackingClient
from exatrkx_client.errors import ClientError
from exatrkx_client.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serving import Array

    from exatrkx_server import TritonServer

CLIENTS: Final = 8
CLUMPS, CLUMP_SIZE = 40, 6
"""Of every event: all have the same number of spacepoints."""

PAUSE_S: Final = 1.7
"""Longer than the second for which Triton waits before it gives a silent Python process up."""

AFTERWARDS_S: Final = 3.0
"""How long the clients go on after the pause."""

WHOLE_SERVICE: Final = "the whole service"


@dataclass
class Outcomes:
    """What the clients were told: how often each outcome, and the texts of refusals."""

    counts: Counter[str] = field(default_factory=Counter)
    refusals: list[str] = field(default_factory=list)

    def __add__(self, other: Outcomes) -> Outcomes:
        return Outcomes(self.counts + other.counts, self.refusals + other.refusals)


def known_event(seed: int) -> tuple[Array, Array]:
    """Features of an event with the tiny networks' tracks, and its labels: clumps, by their first spacepoint."""
    features, clump = clumps(CLUMPS, CLUMP_SIZE, seed)
    _, first = np.unique(clump, return_index=True)
    number = np.empty(CLUMPS, dtype=np.int64)
    number[np.argsort(first)] = np.arange(CLUMPS)
    return features, number[clump]


def processes(server: TritonServer, target: str) -> list[psutil.Process]:
    """The Python process of a model of the server, or everything that runs."""
    whole = psutil.Process(server.pid)
    children = whole.children(recursive=True)
    if target == WHOLE_SERVICE:
        return [whole, *children]
    found = [child for child in children if any(f"/{target}/1/" in argument for argument in child.cmdline())]
    assert found, f"no process of {target} among {[child.cmdline() for child in children]}"
    return found


@contextmanager
def paused(members: list[psutil.Process]) -> Iterator[None]:
    """The processes stand still inside the `with`."""
    try:
        for process in members:
            process.send_signal(signal.SIGSTOP)
        yield
    finally:
        for process in members:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)


def pause_under_load(server: TritonServer, target: str, protocol: str = "grpc") -> Outcomes:
    """Pause a process for `PAUSE_S` while `CLIENTS` send events, each its own; the outcomes of all requests."""
    stop, flowing = threading.Event(), threading.Barrier(CLIENTS + 1)

    def send_events(client_number: int) -> Outcomes:
        outcomes = Outcomes()
        url = server.grpc_url if protocol == "grpc" else server.http_url
        with TrackingClient(url, timeout_s=10.0, retry=Retry(attempts=2, first_delay_s=0.05)) as client:
            for number in range(1_000_000):
                features, labels = known_event(1000 * client_number + number % 50)
                try:
                    right = np.array_equal(client.find_tracks(features), labels)
                    outcomes.counts["right" if right else "wrong"] += 1
                except RequestRejectedError as error:
                    outcomes.counts["refused"] += 1
                    outcomes.refusals.append(str(error))
                except ClientError as error:
                    outcomes.counts[type(error).__name__] += 1
                if number == 5:
                    flowing.wait(60.0)
                if stop.is_set():
                    break
        return outcomes

    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(send_events, number) for number in range(CLIENTS)]
        flowing.wait(60.0)
        with paused(processes(server, target)):
            time.sleep(PAUSE_S)
        deadline = time.monotonic() + AFTERWARDS_S
        while time.monotonic() < deadline and server.ending is None:
            time.sleep(0.05)
        stop.set()
        return sum((future.result() for future in running), Outcomes())
