"""Labels of spacepoints from tracks, which may share spacepoints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exatrkx.contract import NOISE_LABEL
from exatrkx.events.event import IntArray


def label_spacepoints(tracks: Sequence[Sequence[int]], num_spacepoints: int) -> IntArray:
    """Give each spacepoint to one track: of those that have it the one with most spacepoints, of equals the first.

    Args:
        tracks: indices of each track's spacepoints, in [0, N).
        num_spacepoints: N.

    Returns:
        [N] labels as the pipeline has them: −1 on no track, else 0, 1, 2, … in the order of the tracks' smallest
        remaining spacepoint. A track all of whose spacepoints are given to others has no label.
    """
    owner = np.full(num_spacepoints, -1, dtype=np.int64)
    for index in sorted(range(len(tracks)), key=lambda index: (len(tracks[index]), -index)):
        owner[np.asarray(tracks[index], dtype=np.int64)] = index
    labels = np.full(num_spacepoints, NOISE_LABEL, dtype=np.int64)
    on_track = owner >= 0
    _, first, which = np.unique(owner[on_track], return_index=True, return_inverse=True)
    labels[on_track] = np.argsort(np.argsort(first))[which]
    return labels
