"""One small request that Triton does not refuse and that ends it, or a stage: it is back, and as closed as before."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
import tritonclient.grpc
from scripted_server import GOOD, MODEL, order, write_scripted_repository
from serve_process import Serving
from tritonclient.utils import InferenceServerException

from exatrkx_client import AccessError, Credentials, Retry, TrackingClient

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.server

TOKEN: Final = Credentials(token="sesame")
ONCE: Final = Retry(attempts=1)


def in_json(addresses: dict[str, Any]) -> None:
    """Triton's JSON reader aborts."""
    tensor = {"name": "FEATURES", "datatype": "FP32", "shape": [2**40, 3], "data": [0]}
    body = json.dumps({"inputs": [tensor]}).encode()
    url = f"{addresses['http_url']}/v2/models/{MODEL}/infer"
    request = urllib.request.Request(url, body, TOKEN.all_headers, method="POST")
    with pytest.raises(OSError, match=r"closed connection|reset"):
        urllib.request.urlopen(request, timeout=60)


def of_a_shape_that_overflows(addresses: dict[str, Any]) -> None:
    """The process of a Python model aborts."""
    tensor = tritonclient.grpc.InferInput("FEATURES", [0, 3], "FP32")
    tensor.set_data_from_numpy(np.zeros((0, 3), dtype=np.float32))
    tensor.set_shape([2**62, 3])
    with (
        tritonclient.grpc.InferenceServerClient(addresses["grpc_url"]) as client,
        pytest.raises(InferenceServerException),
    ):
        client.infer(MODEL, [tensor], headers={f"triton-grpc-protocol-{k}": v for k, v in TOKEN.all_headers.items()})


@pytest.mark.parametrize("send", [in_json, of_a_shape_that_overflows])
def test_it_is_back(tmp_path: Path, send: Callable[[dict[str, Any]], None]) -> None:
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN.token)
    repository = write_scripted_repository(tmp_path / "repository")
    options = ("--free-ports", "--restart-delay=0", f"--models={MODEL}", f"--token-file={token}")
    with Serving(repository, tmp_path, *options) as serving:
        serving.ready_line()
        send(serving.addresses())
        serving.until(lambda: serving.metric("exatrkx_restarts_total") > 0)
        serving.await_health(200)
        for url in (serving.addresses()["grpc_url"], serving.addresses()["http_url"]):
            with TrackingClient(url, MODEL, retry=ONCE, credentials=TOKEN) as client:
                assert len(client.find_tracks(order(GOOD))) == 5
            with (
                TrackingClient(url, MODEL, retry=ONCE, credentials=Credentials()) as client,
                pytest.raises(AccessError),
            ):
                client.find_tracks(order(GOOD))
