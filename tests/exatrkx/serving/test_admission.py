"""Admission control of the Python models: whom it asks, and what it does when nobody answers rightly."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Final
from urllib.request import install_opener

import pytest

from exatrkx.contract import CUSTOM, EMBED, FRNN, GNN
from exatrkx.errors import OverloadedError
from exatrkx.serving import admission
from exatrkx.serving.admission import EDGE_BYTES, SPACEPOINT_BYTES, Queue, needed_bytes
from exatrkx.serving.limits import MAX_QUEUE_VARIABLE, METRICS_URL_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

METRICS: Final = b'nv_inference_pending_request_count{model="a",version="1"} 2\n' * 2


class Metrics(BaseHTTPRequestHandler):
    """Metrics of two models; at `/cut` the connection ends before they do."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(METRICS) + (self.path == "/cut")))
        self.end_headers()
        self.wfile.write(METRICS)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, int], Queue]]:
    """Makes a queue with this bound, of a server whose metrics are at this path."""
    with HTTPServer(("127.0.0.1", 0), Metrics) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        def make(path: str, most: int) -> Queue:
            monkeypatch.setenv(METRICS_URL_VARIABLE, f"http://127.0.0.1:{server.server_port}{path}")
            monkeypatch.setenv(MAX_QUEUE_VARIABLE, str(most))
            return Queue()

        yield make
        server.shutdown()
        thread.join()


def test_requests_of_all_models_count(queue: Callable[[str, int], Queue], monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment's is for other machines."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    for exceptions in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(exceptions, raising=False)
    monkeypatch.setattr(admission, "_ASK_TIMEOUT_S", 60.0)
    install_opener(None)  # the one that urllib may keep has read the environment
    queue("/metrics", 4).admit()
    with pytest.raises(OverloadedError, match="more than max_queue = 3 requests wait, found 4: try later"):
        queue("/metrics", 3).admit()


def test_metrics_that_end_too_early_refuse_nobody(queue: Callable[[str, int], Queue]) -> None:
    queue("/cut", 3).admit()


def test_memory_is_looked_at_where_it_will_be_taken() -> None:
    features, embedding, edges = [1000, 3], [1000, 8], [2, 5000]
    assert needed_bytes(CUSTOM, {"FEATURES": features}) == 1000 * SPACEPOINT_BYTES
    assert needed_bytes(EMBED, {"INPUT__0": features}) == 1000 * SPACEPOINT_BYTES
    assert needed_bytes(FRNN, {"EMBEDDING": embedding}) == 0  # a part of the event's is in use by then
    assert needed_bytes(GNN, {"INPUT__0": features, "INPUT__1": edges}) == 5000 * EDGE_BYTES
