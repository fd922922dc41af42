"""Supervisor of a server: says whether it is ready, and starts it again when it ends, hangs or answers wrongly."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from exatrkx_client.errors import ClientError
from exatrkx_server.errors import ServingError, StartCancelledError
from exatrkx_server.watch import LOOK_S, Problem, Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from exatrkx_server.health import Health
    from exatrkx_server.options import SupervisionOptions
    from exatrkx_server.server import TritonServer

_POLL_S: Final = 0.1
_STEADY_S: Final = 300.0


class Supervisor:
    """Watches one running server until it is told to stop.

    Args:
        server: entered, that is, running.
        options: how it is watched, and how often it is started again.
        health: is told what is found.
        stopping: whether to stop; asked again and again.
        before_ready: called each time that the service is ready after a start, before it says so.
        on_ready: called then, once it does.
        say: gets each thing that a person should know, as one text.
    """

    def __init__(
        self,
        server: TritonServer,
        options: SupervisionOptions,
        health: Health,
        *,
        stopping: Callable[[], bool],
        before_ready: Callable[[], None],
        on_ready: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self._server = server
        self._options = options
        self._health = health
        self._stopping = stopping
        self._before_ready = before_ready
        self._on_ready = on_ready
        self._say = say
        self._in_a_row = 0
        self._ready_since: float | None = None

    def run(self) -> None:
        """Watch, and start again, until told to stop.

        Raises:
            ServingError: it failed before it was ever ready, or more often in a row than it is started again.
        """
        problem = self._watch()
        while problem is not None and self._wait_for_next_start(problem):
            self._health.restarts += 1
            try:
                self._server.restart()
            except StartCancelledError:
                return
            except ServingError as error:
                problem = self._fail(Problem("start", str(error)))
            else:
                problem = self._watch()

    def _watch(self) -> Problem | None:
        """Watch a running server up to what makes a new start necessary; None when told to stop."""
        self._ready_since = None
        try:
            with Watch(self._server, self._options, self._health.measured) as watch:
                while not self._pause(LOOK_S):
                    problem = watch.problem()
                    if problem is not None and self._fail(problem).restart:
                        self._server.halt()  # first, so that nothing waits for its answer any more
                        return problem
                    if problem is None and watch.complete:
                        self._ready()
        except ClientError as error:
            self._server.halt()
            return self._fail(Problem("start", str(error)))
        return None

    def _ready(self) -> None:
        if self._health.ready:
            return
        if self._ready_since is None:
            self._before_ready()
        self._health.set_ready()
        if self._ready_since is None:
            self._on_ready()
            self._ready_since = time.monotonic()
        else:
            self._tell("ready again")

    def _fail(self, problem: Problem) -> Problem:
        if self._health.reason != problem.reason:
            self._health.fail(problem.kind, problem.reason)
            self._tell(f"not ready: {problem.reason}")
        return problem

    def _wait_for_next_start(self, problem: Problem) -> bool:
        """Wait longer after each failure; False when told to stop meanwhile."""
        if self._ready_since is not None and time.monotonic() - self._ready_since > _STEADY_S:
            self._in_a_row = 0
        self._health.reason = f"starting again after: {problem.reason}"
        most = self._options.max_restarts
        if self._in_a_row >= most or (self._health.restarts == 0 and self._ready_since is None):
            after = f"\ngiven up after {most} restarts in a row" if self._in_a_row else ""
            log = "" if problem.kind == "start" else f"\nlog: {self._server.log_file}"
            raise ServingError(f"{problem.reason}{after}{log}")
        delay_s = self._options.delay_s(self._in_a_row)
        self._in_a_row += 1
        self._tell(f"starting the server again in {delay_s:g} s ({self._in_a_row} of {most})")
        return not self._pause(delay_s)

    def _pause(self, seconds: float) -> bool:
        """Wait; True as soon as it is told to stop."""
        until = time.monotonic() + seconds
        while not self._stopping():
            self._health.beat()
            if time.monotonic() >= until:
                return False
            time.sleep(_POLL_S)
        return True

    def _tell(self, text: str) -> None:
        self._server.log.write(text)
        self._say(text)
