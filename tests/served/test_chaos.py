"""Chaos: every process of the service killed and paused under load, and no answer wrong, lost or invented.

`make chaos` runs the long form, with 10,000 requests; `make soak` an hour, with a fault every few minutes.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest
from chaos.load import Extent, Load, requests
from chaos.service import Service, Usage

from exatrkx.events.event import features
from exatrkx.events.parquet import read_events
from exatrkx.pipeline import Pipeline
from exatrkx_client import Retry, TrackingClient
from exatrkx_client.errors import ServerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

pytestmark = [pytest.mark.server, pytest.mark.slow]

ROOT: Final = Path(__file__).resolve().parents[2]
EVENTS: Final = ROOT / "data" / "events" / "ttbar_mu0.parquet"
PILEUP: Final = ROOT / "data" / "events" / "ttbar_mu10.parquet"
"""Its largest event has more edges than a new Python model's share of /dev/shm, 1 MiB, has room for."""

CLIENTS: Final = 16
MOST_SPACEPOINTS: Final = 20_000
PAUSE_S: Final = 2.0
WARM_REQUESTS: Final = 100
"""Before memory is looked at."""

LONG_WARM_REQUESTS: Final = 1_500
"""Where it is judged closely: without a fault it rises by 21 MiB within the first 1,200 requests, and then no more."""

LONG: Final = 5_000
"""From so many requests on memory is judged closely."""

SOAK_CLIENTS: Final = 2


@pytest.fixture(scope="module")
def good() -> list[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]:
    """Events with their labels; most are one event turned about the beam: of one size, but for their labels."""
    pipeline = Pipeline.from_weights()
    event = min(read_events(EVENTS), key=len)
    arrays = [features(event)]
    for turn in np.linspace(0.0, 2.0, 12, endpoint=False, dtype=np.float32)[1:]:
        turned = arrays[0].copy()
        turned[:, 1] = (turned[:, 1] + turn + 1.0) % 2.0 - 1.0
        arrays.append(turned[np.random.default_rng(int(turn * 100)).permutation(len(turned))])
    arrays += [features(other) for other in read_events(EVENTS, [1, 2, 3])]
    arrays.append(features(max(read_events(PILEUP), key=len)))
    arrays.append(arrays[0][:0])
    return [(array, pipeline(array).labels) for array in arrays]


@pytest.fixture
def extent(request: pytest.FixtureRequest) -> Extent:
    minutes = request.config.getoption("--chaos-minutes")
    return Extent(seconds=60.0 * minutes) if minutes else Extent(request.config.getoption("--chaos-requests") or 1_000)


@pytest.fixture
def service(tmp_path: Path, extent: Extent) -> Iterator[Service]:
    # Faults come more often here than a supervisor should ever see them. In an hour's run it waits as by default.
    patience = ["--max-restarts", "1000", *["--restart-delay", "0"] * bool(extent.requests)]
    with Service(tmp_path, "--max-spacepoints", str(MOST_SPACEPOINTS), *patience) as running:
        yield running


def faults(service: Service) -> list[tuple[str, Callable[[], None]]]:
    """Each with its name: one part after the other killed, and paused; the whole service paused; no shared memory."""
    names = [part.name for part in service.parts()]
    todo: list[tuple[str, Callable[[], None]]] = []
    for name in names:
        todo.append((f"kill {name}", partial(service.kill, name)))
        if name == "tritonserver" and service.has_own_shared_memory:  # while its models have taken little of it
            todo.append(("fill the shared memory", partial(service.fill_shared_memory, PAUSE_S)))
        todo.append((f"pause {name}", partial(service.pause, [name], PAUSE_S)))
    todo.append(("pause everything", partial(service.pause, names, PAUSE_S)))
    return todo


def test_without_shared_memory_the_service_is_unavailable(service: Service) -> None:
    if not service.has_own_shared_memory:
        pytest.skip("unshare gives no /dev/shm of its own here")
    event = max(read_events(PILEUP), key=len)
    with TrackingClient(service.grpc_url, retry=Retry(attempts=1)) as client:
        with service.full_shared_memory(), pytest.raises(ServerUnavailableError, match="shared memory"):
            client.find_tracks(event)
        assert len(client.find_tracks(event)) == len(event)


def test_every_answer_is_right_whatever_breaks(
    service: Service,
    extent: Extent,
    good: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    too_large = np.resize(good[0][0], (MOST_SPACEPOINTS + 1, 3))
    clients = CLIENTS if extent.requests else SOAK_CLIENTS
    began = time.monotonic()

    def tell(text: str) -> None:
        with capsys.disabled():
            print(f"{(time.monotonic() - began) / 60.0:5.1f} min: {text}", flush=True)

    def settled_usage() -> Usage:
        warm = Extent(WARM_REQUESTS if 0 < extent.requests < LONG else LONG_WARM_REQUESTS)
        load = Load(service.grpc_url, requests(good, too_large, seed=1), warm, clients)
        load.start()
        load.finish()
        assert not load.wrong, load.wrong
        return service.usage()

    before = settled_usage()
    tell(f"before: {before}")
    load = Load(service.grpc_url, requests(good, too_large, seed=extent.requests), extent, clients)
    load.start()
    todo = faults(service)
    for step, (name, fault) in enumerate(todo):
        load.wait_for((step + 0.5) / (len(todo) + 1))
        if not extent.requests:
            tell(f"{load.done} requests, {len(load.wrong)} wrong, {service.restarts} restarts; {service.usage()}")
        fault()
        service.wait_until_ready()
        tell(f"{name}; {load.done} requests, {len(load.wrong)} wrong {load.wrong[-1:]}")
    load.finish()
    after = settled_usage()
    tell(f"after: {after}, {service.restarts} restarts; {sorted(load.outcomes.items())}")

    assert load.outcomes.total() == load.begun, "one outcome for each request"
    assert not load.wrong, f"{len(load.wrong)}: {load.wrong[:20]}; {service.last_words()}"
    assert {outcome for kind, outcome in load.outcomes if kind == "good"} == {"right"}
    assert {outcome for kind, outcome in load.outcomes if kind in {"bad", "huge"}} == {"refused"}
    most = before.memory_mib * (1.1 if 0 < extent.requests < LONG else 1.02)
    assert after.memory_mib < most, "memory that the faults have cost"
    assert after.shared_memory_files <= before.shared_memory_files, "shared memory of servers that are gone"
    service.stop()
