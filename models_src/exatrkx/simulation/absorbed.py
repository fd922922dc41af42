"""Absorbed hits: those all of whose cells another hit of their cluster has, too, which ACTS's clustering forgets."""

from __future__ import annotations

from typing import Any

import numpy as np

from exatrkx.events.event import IntArray
from exatrkx.simulation.modules import Modules
from exatrkx.simulation.resolution import CELLS


def absorbed_hits(modules: Modules, hits: Any, clusters: Any, spacepoints: Any, pairs: IntArray) -> IntArray:
    """The spacepoints in whose clusters the hits lie that are in none as ACTS has it.

    Args:
        modules: of the detector.
        hits: `SimHitContainer`.
        clusters: [N] of `ClusterContainer`, that of each spacepoint.
        spacepoints: `SpacePointContainer`.
        pairs: [K,2] spacepoint and hit, as ACTS has them.

    Returns:
        [L,2] the same of the absorbed hits. A hit that lies in no cluster of its module left nothing.
    """
    known = np.zeros(len(hits), dtype=np.bool_)
    known[pairs[:, 1]] = True
    left = [(index, hit) for index, hit in enumerate(hits) if not known[index]]
    if not left or not len(pairs):
        return np.zeros((0, 2), dtype=np.int64)
    identifier = np.asarray([hit.geometryId.value for hit in hits], dtype=np.uint64)
    module = np.searchsorted(modules.identifier, identifier)
    of_spacepoint = np.zeros(len(clusters), dtype=np.int64)
    of_spacepoint[pairs[:, 0]] = module[pairs[:, 1]]

    pitch = {volume: cell for volumes, cell in CELLS.items() for volume in volumes}
    size = np.asarray([(cluster.sizeLoc0, cluster.sizeLoc1) for cluster in clusters])
    size = size * np.asarray([pitch[int(volume)] for volume in modules.volume[of_spacepoint]])
    place = modules.local(of_spacepoint, np.stack((spacepoints.x, spacepoints.y, spacepoints.z), axis=1))
    found = []
    for index, hit in left:
        here = np.flatnonzero(of_spacepoint == module[index])
        at = np.asarray([[hit.fourPosition[axis] for axis in range(3)]])
        # Hit and centre lie both inside the cluster, so they are no farther apart than its size.
        apart = np.abs(place[here] - modules.local(module[[index]], at)) / size[here]
        inside = (apart <= 1.0).all(axis=1)
        if inside.any():
            found.append((int(here[inside][apart[inside].max(axis=1).argmin()]), index))
    return np.asarray(found, dtype=np.int64).reshape(-1, 2)
