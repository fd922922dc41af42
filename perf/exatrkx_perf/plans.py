"""The two sweeps that have a name: `make perf` and `make perf-full`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exatrkx_perf.grid import Grid
from exatrkx_perf.point import DIRECT, Configuration

if TYPE_CHECKING:
    from collections.abc import Sequence


def quick_plan(cores: int, models: Sequence[str]) -> list[Grid]:
    """What fits in ten minutes on two cores: one instance and thread, as many instances as cores, as many threads.

    Args:
        cores: of this machine; more than four are not filled, which would take longer.
        models: that are compared.
    """
    served = _served(models)
    many = min(max(cores, 2), 4)
    one, instances, threads = (
        Configuration(),
        Configuration(instances=many),
        Configuration(threads=many),
    )
    return [
        Grid(models=models, configurations=[one], concurrencies=(1,)),
        Grid(models=served, configurations=[one], concurrencies=(many, 2 * many)),
        Grid(models=models, configurations=[instances], concurrencies=(many,)),
        Grid(models=served, configurations=[instances], concurrencies=(2 * many, 4 * many)),
        Grid(models=models, configurations=[threads], concurrencies=(1,)),
        Grid(models=served, configurations=[threads], concurrencies=(many,)),
    ]


def full_plan(
    models: Sequence[str], instances: Sequence[int] = (1, 2, 3, 4, 5), threads: Sequence[int] = (1, 2)
) -> list[Grid]:
    """Everything against everything where that means something; an hour or two on two cores.

    The ways of calling (protocol, mode, shared memory) are compared with one instance and with two.
    """
    every = [Configuration(instances=count, threads=number) for number in threads for count in instances]
    some = [Configuration(), Configuration(instances=2)]
    return [
        Grid(
            models=models, configurations=every, concurrencies=(1, 2, 4, 8, 16), direct_modes=("processes", "threads")
        ),
        Grid(
            models=_served(models),
            configurations=some,
            concurrencies=(1, 4),
            protocols=("grpc", "http"),
            modes=("sync", "async"),
            shared_memories=("none", "system"),
        ),
    ]


def _served(models: Sequence[str]) -> list[str]:
    return [model for model in models if model != DIRECT]
