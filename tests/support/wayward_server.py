"""A real server with two models for what an ordinary one does not show: being away, and two requests at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

AWAY: Final = "away"
"""Is unavailable for every event with spacepoints; an empty one it answers."""

MEETING: Final = "meeting"
"""Answers a request only when another one is there, too: its two instances wait for each other."""

_CONFIG: Final = """
backend: "python"
max_batch_size: 0
input {{ name: "FEATURES" data_type: TYPE_FP32 dims: [ -1, 3 ] }}
output {{ name: "LABELS" data_type: TYPE_INT64 dims: [ -1 ] }}
instance_group {{ kind: KIND_CPU count: {instances} }}
"""

_MODEL: Final = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        # Of a FIFO's two ends, opening either one waits for the other.
        self.mode = "rb" if args["model_instance_name"].endswith("_0") else "wb"

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        features = pb_utils.get_input_tensor_by_name(request, "FEATURES").as_numpy()
        {what}
        labels = np.full(len(features), -1, dtype=np.int64)
        return pb_utils.InferenceResponse([pb_utils.Tensor("LABELS", labels)])
"""

_AWAY: Final = """if len(features):
            error = pb_utils.TritonError("gone for lunch", pb_utils.TritonError.UNAVAILABLE)
            return pb_utils.InferenceResponse([], error)"""

_MEETING: Final = """with open({fifo!r}, self.mode):
            pass"""


def write_wayward_repository(folder: Path) -> Path:
    """A model repository with those models. Returns `folder`."""
    fifo = folder / MEETING / "fifo"
    for name, instances, what in ((AWAY, 1, _AWAY), (MEETING, 2, _MEETING.format(fifo=str(fifo)))):
        version = folder / name / "1"
        version.mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text(_CONFIG.format(instances=instances))
        (version / "model.py").write_text(_MODEL.replace("{what}", what))
    os.mkfifo(fifo)
    return folder
