"""applyfilter: all edges and their filter scores in, the edges that pass the cut out."""

from __future__ import annotations

from exatrkx.contract import APPLYFILTER
from exatrkx.serving.adapter import Arrays, Step
from exatrkx.serving.admission import check_gnn_memory
from exatrkx.stages.edges import select_edges


class TritonPythonModel(Step):
    """Serves `exatrkx.stages.edges.select_edges`."""

    spec = APPLYFILTER

    def run(self, tensors: Arrays) -> Arrays:
        kept = select_edges(tensors["EDGE_INDEX"], tensors["EDGE_SCORES"], cut=self.cuts.filter_cut)
        check_gnn_memory(kept)
        return {"FILTERED_EDGE_INDEX": kept}
