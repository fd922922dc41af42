"""Fallback to the direct pipeline: what finds an event's tracks in this process when no server does."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Literal, cast, get_args

from exatrkx.errors import ContractError, EventTooLargeError, ExatrkxError, GraphTooLargeError
from exatrkx_client.answer import DIRECT, EDGES, LABELS, FeatureArray, TrackResult, track_result
from exatrkx_client.errors import RequestRejectedError
from exatrkx_client.identity import pipeline_identity

if TYPE_CHECKING:
    from exatrkx.pipeline import Tracks

FallbackName = Literal["direct"]
Pipeline = Callable[[FeatureArray], "Tracks"]

_ONE_AT_A_TIME: Final = threading.Lock()
"""Two events at once would need the memory of two, and wait for each other's cores."""


class DirectPipeline:
    """The pipeline with this project's own networks, in this process and on its CPU; one event at a time.

    torch and the networks are loaded for the first event that needs them, once for all clients of the process. For
    other networks take an `exatrkx.pipeline.Pipeline` of your own.

    Raises:
        ExatrkxError: torch is not installed.
    """

    def __init__(self) -> None:
        if not all(
            map(find_spec, ("torch", "torch_geometric", "safetensors"))
        ):  # found out now, not in the middle of a run
            raise ExatrkxError("the direct pipeline needs torch: pip install 'exatrkx[torch]'")

    def __call__(self, features: FeatureArray) -> Tracks:
        """[N,3] features to the tracks of N spacepoints."""
        with _ONE_AT_A_TIME:
            return cast("Tracks", _own_pipeline()(features))

    def identity(self, model: str) -> dict[str, str]:
        """What `TrackingClient.identity` says of a service with these networks, of this model."""
        with _ONE_AT_A_TIME:
            return dict(_own_identity(model))


@functools.cache
def _own_pipeline() -> Any:
    from exatrkx.pipeline import Pipeline  # noqa: PLC0415 - imports torch

    return Pipeline.from_weights()


@functools.cache
def _own_identity(model: str) -> dict[str, str]:
    return pipeline_identity(model, _own_pipeline())


class Fallback:
    """A pipeline of this process in a server's place, with the answers and errors that a server gives.

    Args:
        pipeline: "direct" for `DirectPipeline`, or a pipeline of one's own; called from the threads that find tracks.

    Raises:
        ValueError: another text.
        ExatrkxError: torch is not installed.
    """

    def __init__(self, pipeline: FallbackName | Pipeline) -> None:
        if isinstance(pipeline, str) and pipeline not in get_args(FallbackName):
            raise ValueError(f"the fallback must be 'direct' or a pipeline, found {pipeline!r}")
        self._pipeline: Pipeline = DirectPipeline() if isinstance(pipeline, str) else pipeline

    def identity(self, model: str) -> dict[str, str]:
        """What `TrackingClient.identity` says in a server's place; of one's own pipeline the model's name alone."""
        return self._pipeline.identity(model) if isinstance(self._pipeline, DirectPipeline) else {"model": model}

    def find_tracks(self, features: FeatureArray, *, with_edges: bool) -> TrackResult:
        """The result for an event of N spacepoints: features [N,3].

        Raises:
            RequestRejectedError: the event is at fault, or it or its graph too large, as a server would say.
            ServerError: the pipeline's answer is none.
        """
        began = time.perf_counter()
        try:
            found = self._pipeline(features)
        except (ContractError, EventTooLargeError, GraphTooLargeError) as error:
            raise RequestRejectedError(f"{DIRECT}: {error}") from error
        names = [tensor.name for tensor in ((LABELS, *EDGES) if with_edges else (LABELS,))]
        values = (found.labels, found.edge_index, found.edge_scores)
        tensors = dict(zip(names, values, strict=False))
        return track_result(tensors, time.perf_counter() - began, len(features), DIRECT)
