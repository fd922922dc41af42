"""The last stage: from scored edges to track candidates, by the method that the working point names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exatrkx.components import label_components
from exatrkx.contraction import label_clusters
from exatrkx.working_point import COMPONENTS, CONTRACTION

if TYPE_CHECKING:
    from exatrkx.arrays import Array
    from exatrkx.working_point import WorkingPoint

_METHODS: Final = {COMPONENTS: label_components, CONTRACTION: label_clusters}


def label_tracks(edge_index: Array, scores: Array, num_nodes: int, cuts: WorkingPoint) -> Array:
    """The track candidate of each spacepoint at the working point's `gnn_cut`, `min_hits` and `track_building`.

    Shapes, labels and errors are those of `exatrkx.components.label_components`.
    """
    method = _METHODS[cuts.track_building]
    return method(edge_index, scores, num_nodes, cut=cuts.gnn_cut, min_hits=cuts.min_hits)
