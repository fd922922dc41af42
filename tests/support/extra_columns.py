"""Networks that take two columns of FEATURES beside the position, and events that have these: charge and count."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from tiny_networks import WORKING_POINT, clumps, tiny_pipeline

from exatrkx.events.event import Event, features, positions

if TYPE_CHECKING:
    import numpy.typing as npt

    from exatrkx.working_point import WorkingPoint

POINT: Final = replace(WORKING_POINT, extra_features="charge/100,count", completion_reach=50.0)


def extra_event(number: int = 7, size: int = 18, seed: int = 3) -> Event:
    """Four clumps of so many spacepoints, each of three tracks that only their charge and their count tell apart."""
    place, clump = clumps(4, size, seed=seed)
    x, y, z = (column.astype(np.float32) for column in positions(place))
    kind = np.arange(len(clump)) % 3
    extra = {"count": (kind == 1).astype(np.float32), "charge": 100.0 * (kind == 2), "unused": np.zeros(len(x))}
    columns = {name: column.astype(np.float32) for name, column in extra.items()}
    return Event(event_id=number, x=x, y=y, z=z, extra=columns)


def direct(array: npt.NDArray[np.float32], point: WorkingPoint = POINT) -> list[int]:
    """Labels of features by a function call."""
    labels: list[int] = tiny_pipeline(point)(array).labels.tolist()
    return labels


def labels_of(event: Event) -> list[int]:
    return direct(features(event, POINT.extra))
