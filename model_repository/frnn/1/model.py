"""frnn: points of the embedding space in, the graph of those near each other out."""

from __future__ import annotations

import numpy as np

from exatrkx.contract import FRNN
from exatrkx.serving.adapter import Arrays, Step
from exatrkx.stages.edges import fixed_radius_edges


class TritonPythonModel(Step):
    """Serves `exatrkx.stages.edges.fixed_radius_edges`."""

    spec = FRNN

    def run(self, tensors: Arrays) -> Arrays:
        embedding, cuts = tensors["EMBEDDING"], self.cuts
        edges = fixed_radius_edges(
            embedding,
            radius=cuts.radius,
            max_neighbors=cuts.max_neighbors,
            max_edges=cuts.max_edges,
        )
        return {"EDGE_INDEX": edges, "NUM_NODES": np.array([len(embedding)], dtype=np.int64)}
