"""Clients that were given the port of the other protocol are told so."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest

from exatrkx_client import TrackingClient
from exatrkx_client.errors import ServerUnavailableError


def refusal(url: str) -> str:
    with TrackingClient(url, "exatrkx_ensemble") as client, pytest.raises(ServerUnavailableError) as refused:
        client.wait_until_ready(0.1)
    return str(refused.value)


def test_http_on_a_grpc_port() -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        assert refusal(f"http://127.0.0.1:{port}").endswith("speaks no HTTP: so does a gRPC port, grpc://…")
    finally:
        server.stop(None).wait()


def test_grpc_on_an_http_port() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            assert refusal(f"grpc://127.0.0.1:{server.server_port}").endswith("an HTTP port, http://…)")
        finally:
            server.shutdown()
            thread.join()
