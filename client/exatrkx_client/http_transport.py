"""Inference over HTTP (KServe v2 with binary tensors), each request on a connection of its thread that is kept open.

The bytes are composed and read by tritonclient; the connections are the standard library's, because tritonclient's own
belong to one thread, and its asynchronous requests start with a wait of 10 ms.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final
from urllib.parse import quote

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import np_to_triton_dtype, triton_to_np_dtype

from exatrkx_client.address import Address
from exatrkx_client.errors import ServerUnavailableError
from exatrkx_client.http_connections import HttpConnections
from exatrkx_client.transport import Reply, Request

_HEADER_LENGTH: Final = "Inference-Header-Content-Length"

_MOST_THREADS: Final = 64
"""Requests that can be on their way at once; a thread is started only when one is needed."""


class HttpTransport(HttpConnections):
    """Connections to one server: one for each request that is on its way."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._threads = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="exatrkx-http")

    def submit(self, request: Request) -> Future[Reply]:
        """Start sending a request, on a thread of its own."""
        try:
            return self._threads.submit(self._infer, request)
        except RuntimeError as error:  # what a closed pool raises
            raise ServerUnavailableError(f"{self._address}: {error}") from error

    def close(self) -> None:
        """Give up what is on its way, and the connections."""
        self._give_up()
        self._threads.shutdown(cancel_futures=True)
        self._close_connections()

    def _infer(self, request: Request) -> Reply:
        began = time.perf_counter()
        inputs = []
        for name, array in request.inputs.items():
            tensor = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
            tensor.set_data_from_numpy(array, binary_data=True)
            inputs.append(tensor)
        outputs = [triton.InferRequestedOutput(name, binary_data=True) for name in request.outputs] or None
        body, length = triton.InferenceServerClient.generate_request_body(inputs, outputs=outputs)
        path = f"/v2/models/{quote(request.model)}/infer"
        response, content = self.exchange("POST", path, request.timeout_s, body, {_HEADER_LENGTH: str(length)})
        try:
            result = triton.InferenceServerClient.parse_response_body(
                content, header_length=response.getheader(_HEADER_LENGTH)
            )
            # Copied, so that each owns its memory; for an empty tensor tritonclient forgets the type.
            tensors = {
                output["name"]: np.array(result.as_numpy(output["name"]), triton_to_np_dtype(output["datatype"]))
                for output in result.get_response()["outputs"]
            }
        except (KeyError, ValueError, TypeError) as error:
            raise self._unreadable(error) from error
        return Reply(tensors, time.perf_counter() - began)
