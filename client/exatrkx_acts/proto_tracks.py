"""From the labels of spacepoints to proto-tracks: lists of measurements, which is what ACTS fits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exatrkx.events.event import FloatArray, IntArray


def proto_tracks(labels: IntArray, r: FloatArray, measurements: Sequence[Sequence[int]]) -> list[list[int]]:
    """The measurements of each track candidate, in the order in which a particle from the beam meets them.

    That order is the one of r: it rises along every track from the beam axis up to where the track turns back, in the
    barrel and in the endcaps alike, while the distance from the detector's centre need not rise along a track that
    starts at another z.

    Args:
        labels: [N] the pipeline's `LABELS`.
        r: [N] distance of the spacepoints from the beam axis in mm.
        measurements: [N] indices of the measurements of which each spacepoint was made.

    Returns:
        For each label from 0 the indices of its measurements, each of them once.
    """
    along = np.lexsort((r, labels))
    along = along[np.searchsorted(labels[along], 0) :]
    if not len(along):
        return []
    candidates = np.split(along, np.cumsum(np.bincount(labels[along]))[:-1])
    return [
        list(
            dict.fromkeys(measurement for spacepoint in candidate.tolist() for measurement in measurements[spacepoint])
        )
        for candidate in candidates
    ]
