"""Timeline of one event through the steps of the ensemble, from Triton's OpenTelemetry traces.

Starts a server that traces every request and exports the traces (OTLP over HTTP, JSON) to a receiver in this process,
sends it one event several times, and draws the fastest one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from exatrkx.commands import EXIT_CODES, add_version, at_least, run_command
from exatrkx.contract import ENSEMBLE
from exatrkx.errors import ExatrkxError
from exatrkx.events.readers import read_events
from exatrkx.files import check_outputs
from exatrkx.reporting.plot_style import COLOURS, headline, new_figure, save_small
from exatrkx_client import TrackingClient
from exatrkx_server import ServerOptions, TritonServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from exatrkx.events.event import Event

ROOT: Final = Path(__file__).resolve().parents[2]
_EXPORT_TIMEOUT_S: Final = 60.0
_COMPUTE, _INPUT_END, _OUTPUT_START = "compute", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START"


@dataclass(frozen=True, slots=True)
class Span:
    """A model's part of a request, in ms from its start: from when it was asked, and when it computed."""

    model: str
    start: float
    end: float
    compute: tuple[float, float]


class Traces:
    """Spans as they come in, by the trace that they are of."""

    def __init__(self) -> None:
        self._spans: dict[str, list[dict[str, Any]]] = {}
        self._arrived = threading.Condition()

    def add(self, message: dict[str, Any]) -> None:
        """Take an ExportTraceServiceRequest in."""
        with self._arrived:
            for resource in message["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    for span in scope["spans"]:
                        self._spans.setdefault(span["traceId"], []).append(span)
            self._arrived.notify_all()

    def fastest(self, requests: int) -> list[Span]:
        """The ensemble and its steps, in the order of their starts, of the fastest of so many requests.

        Raises:
            ExatrkxError: they do not come.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self._complete()) >= requests, _EXPORT_TIMEOUT_S):
                raise ExatrkxError(f"{len(self._complete())} of {requests} traces came in {_EXPORT_TIMEOUT_S:g} s")
            return min(self._complete(), key=lambda spans: spans[0].end)

    def _complete(self) -> list[list[Span]]:
        found = [models_of(spans) for spans in self._spans.values()]
        return [spans for spans in found if spans and spans[0].model == ENSEMBLE.name]


def models_of(spans: list[dict[str, Any]]) -> list[Span]:
    """The models' spans of one trace, the first of which began first."""
    named = [span for span in spans if any(one["key"] == "triton.model_name" for one in span.get("attributes", ()))]
    inner = {span["parentSpanId"]: span for span in spans if span["name"] == _COMPUTE}
    begin = min((int(span["startTimeUnixNano"]) for span in named), default=0)

    def ms(nanoseconds: str) -> float:
        return (int(nanoseconds) - begin) / 1e6

    found = []
    for span in named:
        times = {one["name"]: ms(one["timeUnixNano"]) for one in inner.get(span["spanId"], {}).get("events", ())}
        start, end = ms(span["startTimeUnixNano"]), ms(span["endTimeUnixNano"])
        found.append(Span(span["name"], start, end, (times.get(_INPUT_END, start), times.get(_OUTPUT_START, end))))
    return sorted(found, key=lambda span: span.start)


@contextlib.contextmanager
def receiver(traces: Traces) -> Iterator[str]:
    """A receiver of traces on this machine, within the `with`; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            traces.add(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
        finally:
            server.shutdown()
            thread.join()


def trace(event: Event, repository: Path, requests: int) -> list[Span]:
    """The spans of the fastest of some requests for an event; Triton's interface of traces stays closed."""
    traces = Traces()
    with receiver(traces) as url:
        settings = ("mode=opentelemetry", f"opentelemetry,url={url}", "level=TIMESTAMPS", "rate=1")
        arguments = tuple(f"--trace-config={setting}" for setting in settings)
        options = ServerOptions(models=(ENSEMBLE.name,), threads=1, extra_arguments=arguments)
        with TritonServer(repository, options) as server, TrackingClient(server.grpc_url) as client:
            for _ in range(requests):
                client.find_tracks(event)
            return traces.fastest(requests)


def draw(spans: list[Span], title: str) -> Figure:
    """A bar for each model: pale while it was asked, in full colour while it computed."""
    figure, grid = new_figure(9.0, 0.45 * len(spans) + 1.2)
    axes = grid[0, 0]
    for row, span in enumerate(spans):
        axes.broken_barh([(span.start, span.end - span.start)], (row - 0.35, 0.7), color="#bcd3e6")
        if row:  # the ensemble itself computes nothing
            begin, end = span.compute
            axes.broken_barh([(begin, end - begin)], (row - 0.35, 0.7), color=COLOURS[0])
        axes.text(span.end, row, f" {span.end - span.start:.1f} ms", va="center", fontsize=9)
    axes.set_yticks(range(len(spans)), [span.model for span in spans])
    axes.invert_yaxis()
    axes.set_xlim(0.0, 1.12 * spans[0].end)
    axes.set_xlabel(
        "ms since the ensemble was asked; dark: the model computes; pale: queue, copies, its end after the answer"
    )
    headline(axes, title)
    return figure


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="trace_event.py", description=(__doc__ or "").partition("\n")[0], epilog=EXIT_CODES
    )
    add_version(parser)
    parser.add_argument("events", type=Path, help="file of events, the first of which is sent")
    parser.add_argument("--output", type=Path, required=True, help="picture, PNG")
    parser.add_argument("--model-repository", type=Path, default=ROOT / "model_repository")
    parser.add_argument("--requests", type=at_least(int, 1), default=20, help="of which the fastest is drawn")
    options = parser.parse_args(arguments)

    def work() -> None:
        check_outputs([options.output], [options.events])
        event = next(read_events(options.events))
        print(f"{'ms':>18}{'asked':>10}{'computes':>10}{'answers':>10}{'ends':>10}")
        spans = trace(event, options.model_repository, options.requests)
        for span in spans:
            times = (span.start, span.compute[0], span.compute[1], span.end)
            print(f"{span.model:>18}" + "".join(f"{time:10.3f}" for time in times))
        figure = draw(spans, f"one event of {len(event):,} spacepoints, one thread in each process")
        save_small(figure, options.output)

    return run_command("trace_event.py", work)


if __name__ == "__main__":
    sys.exit(main())
