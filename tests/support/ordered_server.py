"""A model repository with one pipeline in Python that does what a file says: answer rightly, wrongly, late or never."""

from __future__ import annotations

from pathlib import Path
from typing import Final

MODEL: Final = "ordered"

GOOD, WRONG, SLEEP, COMPUTE, SLOW, FLOOD, REFUSE = "good", "wrong", "sleep", "compute", "slow", "flood", "refuse"
"""Answers; answers otherwise; sleeps or computes until told otherwise; takes 0.3 s; writes 4 MB to the log first;
is unavailable."""

_CONFIG: Final = """
backend: "python"
max_batch_size: 0
input { name: "FEATURES" data_type: TYPE_FP32 dims: [ -1, 3 ] }
output { name: "LABELS" data_type: TYPE_INT64 dims: [ -1 ] }
instance_group { kind: KIND_CPU }
"""

_MODEL: Final = """
import pathlib
import sys
import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def order(self):
        return pathlib.Path({order!r}).read_text()

    def answer(self, request):
        features = pb_utils.get_input_tensor_by_name(request, "FEATURES").as_numpy()
        while self.order() == "sleep":
            time.sleep(0.1)
        while self.order() == "compute":
            pass
        if self.order() == "refuse":
            error = pb_utils.TritonError("too many requests wait: try later", pb_utils.TritonError.UNAVAILABLE)
            return pb_utils.InferenceResponse([], error)
        if self.order() == "slow":
            time.sleep(0.3)
        if self.order() == "flood":
            for number in range(4000):
                print(number, "x" * 1000, file=sys.stderr)
        labels = np.arange(len(features)) + (self.order() == "wrong")
        return pb_utils.InferenceResponse([pb_utils.Tensor("LABELS", labels)])
"""


class OrderedRepository:
    """The repository in `folder`, to which the model is added, and the file."""

    def __init__(self, folder: Path, model: str = MODEL) -> None:
        self.folder = folder
        self._order = folder.with_name(f"{model}_order")
        self.give(GOOD)
        version = folder / model / "1"
        version.mkdir(parents=True)
        (folder / model / "config.pbtxt").write_text(_CONFIG)
        (version / "model.py").write_text(_MODEL.replace("{order!r}", repr(str(self._order))))

    def give(self, order: str) -> None:
        """Tell the model what to do from now on."""
        unfinished = self._order.with_suffix(".new")
        unfinished.write_text(order)
        unfinished.replace(self._order)
