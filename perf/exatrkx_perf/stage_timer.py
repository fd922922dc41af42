"""How long each stage of the direct pipeline takes, without a change to the pipeline."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

from exatrkx import pipeline as pipeline_module
from exatrkx.contract import STEPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exatrkx.pipeline import Pipeline

NETWORKS: Final = {"embed": "embed", "filter": "edge_filter", "gnn": "gnn"}
"""Served model, and the attribute of the pipeline that is its network."""

FUNCTIONS: Final = {"frnn": "fixed_radius_edges", "applyfilter": "select_edges", "wcc": "label_tracks"}
"""Served model, and the function that the pipeline calls for the stage."""


@contextlib.contextmanager
def timed_stages(pipeline: Pipeline) -> Iterator[dict[str, float]]:
    """Within the `with`, add up what each stage takes.

    For one thread, on a CPU: on a GPU a stage's call returns before the stage has ended.

    Yields:
        Seconds by the served model's name; zero at first.
    """
    seconds = dict.fromkeys((spec.name for spec in STEPS), 0.0)

    def timed(stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            began = time.perf_counter()
            result = call(*arguments, **options)
            seconds[stage] += time.perf_counter() - began
            return result

        return run

    places: list[tuple[Any, str, str]] = [(pipeline, stage, name) for stage, name in NETWORKS.items()]
    places += [(pipeline_module, stage, name) for stage, name in FUNCTIONS.items()]
    originals = [(owner, name, getattr(owner, name)) for owner, _, name in places]
    for owner, stage, name in places:
        setattr(owner, name, timed(stage, getattr(owner, name)))
    try:
        yield seconds
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)
