"""A real server with one model that does what the first entry of its input says: for faults that good models lack.

It proves its answers and signs its refusals as this project's models do, or neither, as somebody else's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

MODEL: Final = "scripted"
EDGES_PER_SPACEPOINT: Final = 10

GOOD, REJECT, FAIL, SHORT = range(4)
"""What the model does: answer, blame the request, raise, give one label too few."""

_PROOFS: Final = """,
  { name: "REQUEST_DIGEST" data_type: TYPE_INT64 dims: [ 1 ] },
  { name: "EDGES_DIGEST" data_type: TYPE_INT64 dims: [ 1 ] }"""

_CONFIG: Final = """
backend: "python"
max_batch_size: 0
input { name: "FEATURES" data_type: TYPE_FP32 dims: [ -1, 3 ] }
output [
  { name: "LABELS" data_type: TYPE_INT64 dims: [ -1 ] },
  { name: "EDGE_INDEX" data_type: TYPE_INT64 dims: [ 2, -1 ] },
  { name: "EDGE_SCORES" data_type: TYPE_FP32 dims: [ -1 ] }{proofs}
]
instance_group { kind: KIND_CPU }
"""

_MODEL: Final = f"""
import numpy as np
import triton_python_backend_utils as pb_utils

from exatrkx.digest import added, features_digest, payload_digest, request_digest, signature


class TritonPythonModel:
    def initialize(self, args):
        self.proves = "REQUEST_DIGEST" in args["model_config"]

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        features = pb_utils.get_input_tensor_by_name(request, "FEATURES").as_numpy()
        digest = request_digest(features_digest(features), request.request_id())
        what = int(features[0, 0]) if len(features) else {GOOD}
        if what == {REJECT}:
            text = "this event is refused" + (signature(digest) if self.proves else "")
            error = pb_utils.TritonError(text, pb_utils.TritonError.INVALID_ARG)
            return pb_utils.InferenceResponse([], error)
        if what == {FAIL}:
            raise RuntimeError("this event breaks the model")
        edges = {EDGES_PER_SPACEPOINT} * len(features)
        tensors = {{
            "LABELS": np.arange(len(features) - (what == {SHORT})),
            "EDGE_INDEX": np.arange(2 * edges).reshape(2, edges),
            "EDGE_SCORES": np.arange(edges, dtype=np.float32),
        }}
        if self.proves:
            of_labels, *of_edges = map(payload_digest, tensors.values())
            tensors["REQUEST_DIGEST"] = np.array([added(digest, of_labels)])
            tensors["EDGES_DIGEST"] = np.array([added(digest, *of_edges)])
        wanted = request.requested_output_names()
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, tensors[name]) for name in wanted])
"""


def write_scripted_repository(folder: Path, *, proves: bool = False) -> Path:
    """A model repository with that one model. Returns `folder`."""
    version = folder / MODEL / "1"
    version.mkdir(parents=True)
    (folder / MODEL / "config.pbtxt").write_text(_CONFIG.replace("{proofs}", _PROOFS if proves else ""))
    (version / "model.py").write_text(_MODEL)
    return folder


def order(what: int, size: int = 5) -> npt.NDArray[np.float32]:
    """Features [size,3] that tell the model what to do."""
    return np.full((size, 3), (what, 0, 0), dtype=np.float32)
