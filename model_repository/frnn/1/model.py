"""frnn: points of the embedding space in, the graph of those near each other out."""

from __future__ import annotations

import numpy as np

from exatrkx.contract import FRNN
from exatrkx.serving.adapter import Arrays, Step
from exatrkx.stages.edges import graph_edges


class TritonPythonModel(Step):
    """Serves `exatrkx.stages.edges.graph_edges`: the graph construction of the working point."""

    spec = FRNN

    def run(self, tensors: Arrays) -> Arrays:
        embedding = tensors["EMBEDDING"]
        edges = graph_edges(embedding, self.cuts)
        return {"EDGE_INDEX": edges, "NUM_NODES": np.array([len(embedding)], dtype=np.int64)}
