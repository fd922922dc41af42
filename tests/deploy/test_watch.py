"""The rule for a pipeline that does not answer, by a clock that the test sets; nothing is served."""

from __future__ import annotations

import threading
from typing import Final

import pytest

from exatrkx_client.address import Address
from exatrkx_client.errors import ServerUnavailableError
from exatrkx_client.triton_api import TritonApi
from exatrkx_server import watch
from exatrkx_server.options import SupervisionOptions
from exatrkx_server.stage_processes import ProcessState
from exatrkx_server.watch import LOOK_S, _Prober, _Scope, _SignsOfLife

PID: Final = 7
IDLE: Final = {PID: ProcessState("S", 0.0, 0)}
OPTIONS: Final = SupervisionOptions(hang_timeout_s=4 * LOOK_S)
MOST_LOOKS: Final = 10


class Clock(threading.Event):
    """What `time` is to the watch; and the event that its prober waits for: time passes by as much."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        return self.is_set()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(watch, "time", found)
    return found


class Pipeline:
    """An idle pipeline, and what is found at each look at it: whether it is hung, after which nothing more is asked."""

    def __init__(self, clock: Clock) -> None:
        self.hung: list[bool] = []
        self._clock = clock
        self._prober = _Prober("ordered", self.ask, lambda _name, _seconds: None)
        with TritonApi(Address.parse("127.0.0.1:9")) as api:  # is not asked
            scope = _Scope({PID: "ordered"}, [], api)
        self._life = _SignsOfLife(self._prober, scope, scope)

    def run(self) -> list[bool]:
        self._prober.run(OPTIONS.probe_every_s, self._clock)
        return self.hung

    def look(self, elapsed_s: float = LOOK_S) -> None:
        self.hung.append(self._life.look(IDLE, elapsed_s, OPTIONS) is not None)
        if self.hung[-1] or len(self.hung) == MOST_LOOKS:
            self._clock.set()

    def ask(self) -> None:
        raise NotImplementedError


def test_a_watch_that_did_not_run_blames_nobody(clock: Clock) -> None:
    """The first look after a long pause comes right after the question; a hang is found as soon as ever."""

    class Silent(Pipeline):
        def ask(self) -> None:
            self.look(OPTIONS.hang_timeout_s)
            while not clock.is_set():
                clock.wait(LOOK_S)
                self.look()

    assert Silent(clock).run() == [False] * 4 + [True]


def test_a_pipeline_that_refuses_at_once_is_hung_as_soon(clock: Clock) -> None:
    """It is asked again before each look."""

    class Full(Pipeline):
        def ask(self) -> None:
            self.look()
            raise ServerUnavailableError("full", reason="try later")

    assert Full(clock).run() == [False] * 4 + [True]
