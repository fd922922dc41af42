"""Chaos: every process of the service killed and paused under load, and no answer wrong, lost or invented.

`make chaos` runs the long form, with 10,000 requests; `--chaos-requests 1200` is a short one, of two minutes.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest
from chaos.load import Load, requests
from chaos.service import Service

from exatrkx.events.event import features
from exatrkx.events.parquet import read_events
from exatrkx.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

pytestmark = [pytest.mark.server, pytest.mark.slow]

ROOT: Final = Path(__file__).resolve().parents[2]
EVENTS: Final = ROOT / "data" / "events" / "ttbar_mu0.parquet"
CLIENTS: Final = 16
MOST_SPACEPOINTS: Final = 20_000
PAUSE_S: Final = 2.0
WARM_REQUESTS: Final = 100
KILLED: Final = ("tritonserver", "frnn")
PAUSED: Final = ("wcc", "exatrkx_custom")
"""What the short form does to single processes; the long one does both to each."""

LONG: Final = 5_000
"""From so many requests on, every process has its turn, and memory is judged closely."""


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
    arrays.append(arrays[0][:0])
    return [(array, pipeline(array).labels) for array in arrays]


@pytest.fixture
def service(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    if not request.config.getoption("--chaos-requests"):
        pytest.skip("make chaos, or --chaos-requests 1200")
    # Faults come faster here than a supervisor should ever see them.
    patience = ("--max-restarts", "1000", "--restart-delay", "0")
    with Service(tmp_path, "--max-spacepoints", str(MOST_SPACEPOINTS), *patience) as running:
        yield running


def faults(service: Service, *, short: bool) -> list[tuple[str, Callable[[], None]]]:
    """Each with its name: one part after the other killed, and paused; the whole service paused; no shared memory."""
    names = [part.name for part in service.parts()]
    killed, paused = (KILLED, PAUSED) if short else (names, names)
    todo: list[tuple[str, Callable[[], None]]] = []
    for name in names:
        todo += [(f"kill {name}", partial(service.kill, name))] * (name in killed)
        todo += [(f"pause {name}", partial(service.pause, [name], PAUSE_S))] * (name in paused)
    todo.append(("pause everything", partial(service.pause, names, PAUSE_S)))
    if service.has_own_shared_memory:
        todo.append(("fill the shared memory", partial(service.fill_shared_memory, PAUSE_S)))
    return todo


def test_every_answer_is_right_whatever_breaks(
    service: Service,  # first: it skips the rest
    good: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]],
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    number = request.config.getoption("--chaos-requests")
    too_large = np.resize(good[0][0], (MOST_SPACEPOINTS + 1, 3))

    def settled_memory_mib() -> float:
        load = Load(service.grpc_url, requests(WARM_REQUESTS, good, too_large, seed=1), CLIENTS)
        load.start()
        load.finish()
        assert not load.wrong, load.wrong
        return service.memory_mib()

    before = settled_memory_mib()
    load = Load(service.grpc_url, requests(number, good, too_large, seed=number), CLIENTS)
    load.start()
    todo = faults(service, short=number < LONG)
    for step, (name, fault) in enumerate(todo):
        load.wait_for((step + 0.5) / (len(todo) + 1))
        fault()
        service.wait_until_ready()
        with capsys.disabled():
            print(f"{load.done:6d} of {number}: {name}; {len(load.wrong)} wrong {load.wrong[-1:]}", flush=True)
    load.finish()
    after = settled_memory_mib()

    with capsys.disabled():
        print(f"memory {before:.0f} MiB before, {after:.0f} MiB after; {sorted(load.outcomes.items())}")
    assert load.outcomes.total() == number, "one outcome for each request"
    assert not load.wrong, f"{len(load.wrong)}: {load.wrong[:20]}"
    assert {outcome for kind, outcome in load.outcomes if kind == "good"} == {"right"}
    assert {outcome for kind, outcome in load.outcomes if kind in {"bad", "huge"}} == {"refused"}
    assert after < before * (1.02 if number >= LONG else 1.1), "memory that the faults have cost"
    service.stop()
    assert service.leftovers() == []
