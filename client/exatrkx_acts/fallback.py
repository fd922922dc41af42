"""What finds tracks where the server does not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from exatrkx.errors import ExatrkxError
from exatrkx.events.event import IntArray
from exatrkx_client.client import FeatureArray

Finder = Callable[[FeatureArray], IntArray]
"""From features [N,3] to labels [N], as a server would; called from several threads where the sequencer has several."""


class DirectPipeline:
    """The pipeline with this project's own networks, in this process and on its CPU; one event at a time.

    torch and the networks are loaded for the first event that needs them. For other networks give a function of your
    own: `lambda hits: pipeline(hits).labels` with a `exatrkx.pipeline.Pipeline`.

    Raises:
        ExatrkxError: torch is not installed.
    """

    def __init__(self) -> None:
        if find_spec("torch") is None:  # found out now, not in the middle of a run
            raise ExatrkxError("the direct pipeline needs torch: pip install 'exatrkx[torch]'")
        self._pipeline: Any = None
        # Two events at once would need the memory of two, and wait for each other's cores.
        self._one_at_a_time = threading.Lock()

    def __call__(self, features: FeatureArray) -> IntArray:
        with self._one_at_a_time:
            if self._pipeline is None:
                from exatrkx.pipeline import Pipeline  # noqa: PLC0415 - imports torch

                self._pipeline = Pipeline.from_weights()
            labels: IntArray = self._pipeline(features).labels
            return labels
