"""Chaos with two servers: one restarted, one killed, one paused under load, by each way of sharing it between them.

`make chaos-balanced` runs it with 10,000 requests of 16 clients, and says how soon the throughput was back.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from bisect import bisect_right
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from chaos.load import Extent, Load, requests
from chaos.service import Service

from exatrkx.events.event import features
from exatrkx.events.parquet import read_events
from exatrkx.pipeline import Pipeline
from exatrkx_perf.balancers import PROGRAMS, balancer, installed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

pytestmark = [pytest.mark.server, pytest.mark.slow]

EVENTS: Final = Path(__file__).resolve().parents[2] / "data" / "events" / "ttbar_mu0.parquet"
CLIENTS: Final = 16
MOST_SPACEPOINTS: Final = 20_000
PAUSE_S: Final = 20.0
WINDOW_S: Final = 2.0
LULL: Final = 0.15
"""So many of the asked requests, at least, are done before the first fault and after each."""
BACK: Final = 0.9
"""Of the throughput before: then it is back."""


@pytest.fixture(scope="module")
def good() -> list[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]:
    """Halves of events, with their labels."""
    pipeline = Pipeline.from_weights()
    arrays = [features(event) for event in read_events(EVENTS, range(10))]
    halves = [np.ascontiguousarray(array[np.abs(array[:, 1]) < 0.5]) for array in arrays]
    return [(half, pipeline(half).labels) for half in halves]


def rate(ends: Sequence[float], begin: float, end: float) -> float:
    return (bisect_right(ends, end) - bisect_right(ends, begin)) / (end - begin)


def seconds_until_back(ends: Sequence[float], over: float, before: float) -> float:
    """From the end of a fault to that of the first window with the throughput of before; infinite if there is none."""
    last = ends[-1] - WINDOW_S
    for step in range(int(max(last - over, 0.0) / 0.1) + 1):
        begin = over + 0.1 * step
        if rate(ends, begin, begin + WINDOW_S) >= BACK * before:
            return begin + WINDOW_S - over
    return math.inf


def two_servers(stack: ExitStack, folder: Path) -> tuple[list[Service], list[dict[str, Any]]]:
    """Two supervised servers, and what their files of ports say."""
    services, listed = [], []
    for name in ("first", "second"):
        own = folder / name
        own.mkdir()
        ports = own / "ports.json"
        limit = ("--max-spacepoints", str(MOST_SPACEPOINTS), "--threads", "1")
        services.append(stack.enter_context(Service(own, *limit, "--ports-file", str(ports))))
        listed.append(json.loads(ports.read_text()))
    return services, listed


def before_faults(load: Load, began: float, struck: float) -> float:
    """Requests per second up to the first fault; the first second is left out."""
    undisturbed = np.arange(began + 1.0, max(struck - 1.0, began + 2.0))
    return statistics.median(rate(load.ends, begin, begin + 1.0) for begin in undisturbed)


def wait_until_back(load: Load, over: float, before: float, most: int) -> None:
    """Wait until the throughput is what it was before a fault, or so many more requests have ended without."""
    most += load.done
    load.wait_until(lambda: load.done >= most or seconds_until_back(load.ends, over, before) < math.inf)


def throughput(load: Load, began: float, times: Sequence[tuple[str, float, float]]) -> str:
    """What each fault, with when it struck and when it was over, left of the throughput, and for how long."""
    before = before_faults(load, began, times[0][1])
    told = ", ".join(
        f"{name}: {rate(load.ends, struck, over) / before:.2f} of it during {over - struck:.1f} s, "
        f"back after {seconds_until_back(load.ends, over, before):.1f} s"
        for name, struck, over in times
    )
    return f"{load.done} requests in {time.monotonic() - began:.0f} s, {before:.0f} a second before; {told}"


@pytest.mark.parametrize("way", ["client", *PROGRAMS])
def test_every_answer_is_right_whatever_becomes_of_a_server(
    way: str,
    request: pytest.FixtureRequest,
    good: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    number = request.config.getoption("--chaos-requests")
    if not number:
        pytest.skip("make chaos-balanced, or --chaos-requests 3000")
    if way != "client" and installed(way) is None:
        pytest.skip(f"{way} is not installed")
    too_large = np.resize(good[0][0], (MOST_SPACEPOINTS + 1, 3))
    with ExitStack() as stack:
        services, listed = two_servers(stack, tmp_path)
        first, second = services
        urls = [service.grpc_url for service in services]
        if way != "client":
            urls = [stack.enter_context(balancer(way, listed, tmp_path)).grpc_url]
        # Without end, for nobody knows how many requests are done while a server is away.
        load = Load(urls, requests(good, too_large, seed=number), Extent(seconds=math.inf), CLIENTS)

        def restart() -> None:
            first.stop()
            first.start()

        faults: list[tuple[str, Callable[[], None]]] = [
            ("restarted", restart),
            ("killed", lambda: second.kill("tritonserver")),
            ("paused", lambda: first.pause([part.name for part in first.parts()], PAUSE_S)),
        ]
        times: list[tuple[str, float, float]] = []
        began = time.monotonic()
        load.start()
        load.wait_for_more(LULL * number)
        for name, fault in faults:
            struck = time.monotonic()
            fault()
            for service in services:
                service.wait_until_ready()
            over = time.monotonic()
            over = max(service.recovered(over) for service in services)
            times.append((name, struck, over))
            load.wait_for_more(LULL * number)
            wait_until_back(load, over, before_faults(load, began, times[0][1]), most=number)
        load.wait_for_more(number - load.done)
        load.stop()
        with capsys.disabled():
            print(f"\n{way}: {throughput(load, began, times)}")
            print(f"{way}: {sorted(load.outcomes.items())}, {len(load.wrong)} wrong {load.wrong[:2]}")
    assert load.outcomes.total() == load.begun, "one outcome for each request"
    assert not load.wrong, load.wrong[:20]
    assert {outcome for kind, outcome in load.outcomes if kind == "good"} == {"right"}
    assert {outcome for kind, outcome in load.outcomes if kind in {"bad", "huge"}} == {"refused"}
