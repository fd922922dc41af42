"""wcc: edges and their GNN scores in, the track candidate of each spacepoint out."""

from __future__ import annotations

from exatrkx.components import label_components
from exatrkx.contract import WCC
from exatrkx.triton_adapter import Arrays, Step


class TritonPythonModel(Step):
    """Serves `exatrkx.components.label_components`."""

    spec = WCC

    def run(self, tensors: Arrays) -> Arrays:
        edge_index, scores = tensors["EDGE_INDEX"], tensors["EDGE_SCORES"]
        labels = label_components(
            edge_index, scores, int(tensors["NUM_NODES"][0]), cut=self.cuts.gnn_cut, min_hits=self.cuts.min_hits
        )
        return {"LABELS": labels, "EDGE_INDEX": edge_index, "EDGE_SCORES": scores}
