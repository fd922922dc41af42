"""applyfilter: all edges and their filter scores in, the edges that pass the cut out."""

from __future__ import annotations

from exatrkx.contract import APPLYFILTER
from exatrkx.edges import select_edges
from exatrkx.triton_adapter import Arrays, Step


class TritonPythonModel(Step):
    """Serves `exatrkx.edges.select_edges`."""

    spec = APPLYFILTER

    def run(self, tensors: Arrays) -> Arrays:
        kept = select_edges(tensors["EDGE_INDEX"], tensors["EDGE_SCORES"], cut=self.cuts.filter_cut)
        return {"FILTERED_EDGE_INDEX": kept}
