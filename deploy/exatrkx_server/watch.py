"""Watch over a running server: probes of its pipelines, and the state of its processes.

The rule for a server that does not answer. A probe waits its turn behind other events, so a late answer says nothing
by itself. A pipeline lives as long as, within `hang_timeout_s`, it answers a probe or any other request (Triton's count
of successes grows), or a process that serves it computes; it is hung when there is none of these. What computes
without a single answer is hung after `busy_timeout_s`. A probe that was refused, because too many requests wait in the
server, may have been so for another pipeline's sake: what that answers and computes counts, too, as computing does.
Where one process is stopped (SIGSTOP), nothing that others do counts. Time before a probe was asked does not count, nor
does time during which the watch itself did not run, as on a suspended machine.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from exatrkx.errors import ExatrkxError
from exatrkx_client.errors import ClientError, DeadlineError, ServerUnavailableError
from exatrkx_server.probe import Probe, WrongAnswerError, is_pipeline
from exatrkx_server.stage_processes import ProcessState, descriptors, process_state, stage_processes

if TYPE_CHECKING:
    from collections.abc import Callable

    from exatrkx_client.triton_api import TritonApi
    from exatrkx_server.health import Kind
    from exatrkx_server.options import SupervisionOptions
    from exatrkx_server.server import TritonServer

LOOK_S: Final = 0.5
_AGAIN_S: Final = 0.5
_LONGEST_LOOK_S: Final = 2.0
_ASK_TIMEOUT_S: Final = 1.0
_LIST_TIMEOUT_S: Final = 30.0
_LONGEST_ASK_S: Final = 3600.0
_COMPUTES: Final = 0.1  # of a core
_CONFIRMED: Final = 2  # failures in a row, the first of which makes it not ready, the second another start
_SERVER: Final = "server"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a service is not ready, and whether only another start of the server ends that."""

    kind: Kind
    reason: str
    restart: bool = True


class _Prober:
    """One question, asked again and again by a thread; at most one is on its way."""

    def __init__(self, name: str, ask: Callable[[], object], measured: Callable[[str, float], None]) -> None:
        self.name = name
        self.answers = 0
        self.failures = 0
        self.error: ExatrkxError | None = None
        self.waiting_since: float | None = None
        self.refused_at: float | None = None
        self.asked = 0
        self._ask = ask
        self._measured = measured

    def run(self, every_s: float, closing: threading.Event) -> None:
        while not closing.is_set():
            began = time.monotonic()
            if self.waiting_since is None:  # to be refused, and to ask again, is to wait all the while
                self.waiting_since = began
            try:
                self._ask()
            except (ServerUnavailableError, DeadlineError) as error:
                self.error = error  # what else lives decides
                if error.reason:  # the server itself said so
                    self.refused_at = time.monotonic()
            except ExatrkxError as error:
                self.error, self.failures, self.waiting_since = error, self.failures + 1, None
            else:
                self.failures, self.error, self.refused_at, self.waiting_since = 0, None, None, None
                self.answers += 1
                self._measured(self.name, time.monotonic() - began)
            self.asked += 1
            closing.wait(_AGAIN_S if self.error else every_s)


@dataclass(frozen=True, slots=True)
class _Scope:
    """What counts as a sign of life: processes, with their names, and pipelines whose answers are counted."""

    processes: dict[int, str]
    pipelines: list[_Prober]
    api: TritonApi

    def successes(self) -> int | None:
        """Requests answered besides the probes; None where the server does not say."""
        probes = sum(prober.asked for prober in self.pipelines)  # Triton counts a model's refusal as a success
        try:
            found = sum(self.api.statistics(prober.name).get("success", (0, 0))[0] for prober in self.pipelines)
        except ClientError:
            return None
        return found - probes


class _SignsOfLife:
    """Whether a pipeline lives, by the rule above."""

    def __init__(self, prober: _Prober, own: _Scope, whole: _Scope) -> None:
        self.prober = prober
        self._own = own
        self._whole = whole
        self._scope = own
        self._answers = 0
        self._counted: int | None = None
        self._cpu_s = 0.0
        self._silent_s = 0.0
        self._unanswered_s = 0.0

    def look(self, states: dict[int, ProcessState], elapsed_s: float, options: SupervisionOptions) -> Problem | None:
        refused_at = self.prober.refused_at
        refused = refused_at is not None and time.monotonic() - refused_at < options.hang_timeout_s
        self._set_scope(self._whole if refused else self._own, states)
        mine = [(pid, name, states[pid]) for pid, name in self._scope.processes.items()]
        stopped = [f"{name}: its process {pid} is stopped" for pid, name, state in mine if state.stopped]
        cpu_s = sum(state.cpu_s for _, _, state in mine)
        computes = cpu_s - self._cpu_s > _COMPUTES * elapsed_s or any(state.letter == "R" for _, _, state in mine)
        since = self.prober.waiting_since
        # Where the watch did not run for a while, its probe was asked only after that.
        waited_s = 0.0 if since is None else min(elapsed_s, time.monotonic() - since)
        answered = self.prober.answers != self._answers or since is None
        self._answers, self._cpu_s = self.prober.answers, cpu_s
        progress = not answered and not stopped and self._progress()
        answered |= progress and not refused
        self._unanswered_s = 0.0 if answered else self._unanswered_s + waited_s
        self._silent_s = 0.0 if answered or progress or (computes and not stopped) else self._silent_s + waited_s
        said = getattr(self.prober.error, "reason", "") or str(self.prober.error or "")
        if self.prober.failures:
            kind: Kind = "hung" if stopped else "wrong" if isinstance(self.prober.error, WrongAnswerError) else "error"
            return self._problem(kind, [*stopped, said], restart=self.prober.failures >= _CONFIRMED)
        silent = self._silent_s >= options.hang_timeout_s
        if not silent and self._unanswered_s < options.busy_timeout_s:
            return None
        otherwise = "others are served" if refused else "its processes compute"
        why = stopped or ["none of its processes computes" if silent else otherwise]
        return self._problem("hung", [f"no answer for {self._unanswered_s:.0f} s", *why, said])

    def _progress(self) -> bool:
        """Whether other requests were answered since this was asked the last time, without a pause."""
        before, now = self._counted, self._scope.successes()
        if now is None:
            return False
        self._counted = now if before is None else max(before, now)
        return before is not None and now > before

    def _set_scope(self, scope: _Scope, states: dict[int, ProcessState]) -> None:
        if scope is not self._scope or self.prober.waiting_since is None:
            self._scope, self._counted = scope, None
            self._cpu_s = sum(states[pid].cpu_s for pid in scope.processes)

    def _problem(self, kind: Kind, why: list[str], *, restart: bool = True) -> Problem:
        return Problem(kind, f"{self.prober.name}: {'; '.join(filter(None, why))}", restart)


class Watch:
    """A context manager, for one start of a server; `problem` is asked every `LOOK_S`.

    Args:
        server: a running one.
        options: how often, and how long it waits.
        measured: gets the name of a pipeline and the seconds that a right answer took.

    Raises (on entering):
        ClientError: the server does not say what it serves.
    """

    def __init__(
        self, server: TritonServer, options: SupervisionOptions, measured: Callable[[str, float], None]
    ) -> None:
        self._server = server
        self._options = options
        self._measured = measured
        self._closing = threading.Event()
        self._resources = contextlib.ExitStack()
        self._lives: list[_SignsOfLife] = []
        self._stages: dict[int, str] = {}
        self._looked = time.monotonic()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._resources.close()

    @property
    def complete(self) -> bool:
        """Whether every pipeline has answered."""
        return all(life.prober.answers for life in self._lives)

    def problem(self) -> Problem | None:
        """What is wrong now, if anything is."""
        now = time.monotonic()
        elapsed_s, self._looked = min(now - self._looked, _LONGEST_LOOK_S), now
        ending = self._server.ending
        if ending is not None:
            return Problem("ended", ending)
        states = {pid: process_state(pid) for pid in (*self._stages, self._server.pid)}
        for pid, stage in self._stages.items():
            if states[pid].death is not None:
                return Problem("dead", f"{stage}: its process {pid} {states[pid].death}")
        found: list[Problem | None] = [life.look(states, elapsed_s, self._options) for life in self._lives]
        used, limit = descriptors(self._server.pid)
        if used >= limit:
            found.append(Problem("descriptors", f"{used} of {limit} file descriptors are in use", restart=False))
        return min(filter(None, found), key=lambda problem: not problem.restart, default=None)

    def _start(self) -> None:
        asked = self._resources.enter_context(self._server.api(_ASK_TIMEOUT_S))
        # A probe waits as long as it may take: asking again would lengthen the queue that it waits in.
        probing = self._resources.enter_context(self._server.api(min(self._options.busy_timeout_s, _LONGEST_ASK_S)))
        self._stages = stage_processes(self._server.pid)
        server = {self._server.pid: _SERVER}
        whole = _Scope(self._stages | server, [], asked)
        self._add(_Prober(_SERVER, probing.server_name, self._measured), _Scope(server, [], asked), whole)
        if self._options.probe_every_s == 0:
            return
        with self._server.api(_LIST_TIMEOUT_S) as api:
            for model in filter(is_pipeline, map(api.describe, [one.name for one in api.model_states() if one.ready])):
                steps = api.steps(model.name) or [model.name]
                processes = {pid: stage for pid, stage in self._stages.items() if stage in steps}
                if set(steps) - set(processes.values()):  # some are compiled, and run in the server
                    processes |= server
                prober = _Prober(model.name, Probe(probing, model).ask, self._measured)
                whole.pipelines.append(prober)
                self._add(prober, _Scope(processes, [prober], asked), whole)

    def _add(self, prober: _Prober, own: _Scope, whole: _Scope) -> None:
        self._lives.append(_SignsOfLife(prober, own, whole))
        every_s = self._options.probe_every_s or self._options.hang_timeout_s
        arguments = (every_s, self._closing)
        threading.Thread(target=prober.run, args=arguments, name=f"exatrkx-{prober.name}", daemon=True).start()
