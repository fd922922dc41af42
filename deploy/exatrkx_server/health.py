"""Health endpoint of a service: liveness, readiness with its reason, and Prometheus metrics, over HTTP."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from exatrkx.reporting.prometheus import CONTENT_TYPE, Family, exposition
from exatrkx_server.errors import PortInUseError
from exatrkx_server.options import address_family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exatrkx.reporting.prometheus import Sample

_SILENT_S: Final = 60.0
_CLIENT_TIMEOUT_S: Final = 5.0

Kind = Literal["dead", "hung", "wrong", "error", "ended", "descriptors", "start"]
"""What made a service not ready: a stage's process that ended; no sign of life; another answer than before; an error;
a server that ended; no more file descriptors; a server that did not start again."""


class Health:
    """What is known of a service. May be told and asked from several threads.

    Attributes:
        reason: why it is not ready; empty if it is.
        restarts: starts of the server after the first.
        gauges: more metrics by name, each with its text and what gives its value.
    """

    def __init__(self) -> None:
        self.reason = "starting"
        self.restarts = 0
        self.gauges: dict[str, tuple[str, Callable[[], int]]] = {}
        self._failures: Counter[Kind] = Counter()
        self._seconds: dict[str, tuple[int, float]] = {}
        self._beat = time.monotonic()
        self._lock = threading.Lock()

    @property
    def ready(self) -> bool:
        return not self.reason

    @property
    def live(self) -> bool:
        """Whether the supervisor itself still runs."""
        return time.monotonic() - self._beat < _SILENT_S

    def beat(self) -> None:
        """Say that the supervisor runs."""
        self._beat = time.monotonic()

    def set_ready(self) -> None:
        self.reason = ""

    def fail(self, kind: Kind, reason: str) -> None:
        """Not ready from now on, for this reason, and of this kind."""
        self.reason = reason
        with self._lock:
            self._failures[kind] += 1

    def measured(self, name: str, seconds: float) -> None:
        """A probe got its answer."""
        with self._lock:
            count, total = self._seconds.get(name, (0, 0.0))
            self._seconds[name] = (count + 1, total + seconds)

    def metrics(self) -> str:
        """Prometheus's text format."""
        with self._lock:
            failures, seconds = dict(self._failures), dict(self._seconds)
        probes: dict[str, list[Sample]] = {
            "_sum": [({"model": name}, total) for name, (_, total) in seconds.items()],
            "_count": [({"model": name}, count) for name, (count, _) in seconds.items()],
        }
        kinds = {"": [({"reason": kind}, failures.get(kind, 0)) for kind in get_args(Kind)]}
        families = [
            Family("exatrkx_ready", "gauge", "1 if every pipeline answers, and rightly.", _one(int(self.ready))),
            Family("exatrkx_restarts_total", "counter", "Starts of the server after the first.", _one(self.restarts)),
            Family("exatrkx_failures_total", "counter", "Times the service became not ready.", kinds),
            Family("exatrkx_probe_seconds", "summary", "Time to a probe's right answer.", probes),
        ]
        families += [Family(name, "gauge", text, _one(value())) for name, (text, value) in self.gauges.items()]
        return exposition(families)


def _one(value: int) -> dict[str, list[Sample]]:
    """The sample of a metric without labels."""
    return {"": [({}, value)]}


@contextlib.contextmanager
def health_endpoint(host: str, port: int, health: Health) -> Iterator[int]:
    """Answer to `/live`, `/ready` and `/metrics` from a thread; yields the port, a free one for 0.

    Raises:
        PortInUseError: it cannot listen there.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = _CLIENT_TIMEOUT_S

        def do_GET(self) -> None:
            pages: dict[str, tuple[bool, str]] = {
                "/live": (health.live, "live" if health.live else "the supervisor does not run"),
                "/ready": (health.ready, health.reason or "ready"),
                "/metrics": (True, health.metrics()),
            }
            good, text = pages.get(self.path, (False, "there are /live, /ready and /metrics"))
            bad = HTTPStatus.SERVICE_UNAVAILABLE if self.path in pages else HTTPStatus.NOT_FOUND
            status = HTTPStatus.OK if good else bad
            content = f"{text.rstrip()}\n".encode()
            self.send_response(status)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the standard library
            """Nothing: a probe each second is no news."""

    class Endpoint(ThreadingHTTPServer):
        family = address_family(host)
        address_family = family
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Nothing: a client that goes away is no news."""

    try:
        server = Endpoint((host, port), Handler)
    except OSError as error:
        raise PortInUseError(f"cannot listen on {host}:{port} (--health-port): {error.strerror}") from error
    thread = threading.Thread(target=server.serve_forever, name="exatrkx-health", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
