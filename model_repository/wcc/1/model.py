"""wcc: edges and their GNN scores in, the track candidate of each spacepoint out."""

from __future__ import annotations

import numpy as np

from exatrkx.contract import WCC
from exatrkx.serving.adapter import Arrays, Step
from exatrkx.stages.track_building import label_tracks


class TritonPythonModel(Step):
    """Serves `exatrkx.stages.track_building.label_tracks`."""

    spec = WCC

    def load(self, _args: dict[str, str]) -> None:
        """Label two spacepoints, so that no client meets the slow first run: samples of zeros have none to label."""
        places = [[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]]
        sample = {"EDGE_INDEX": [[1], [0]], "EDGE_SCORES": [1.0], "NUM_NODES": [2], "FEATURES": places}
        types = {name: self.spec.input(name).numpy_type for name in sample}
        self.warm_up({name: self.from_numpy(np.array(value, types[name])) for name, value in sample.items()})

    def run(self, tensors: Arrays) -> Arrays:
        edge_index, scores = tensors["EDGE_INDEX"], tensors["EDGE_SCORES"]
        labels = label_tracks(edge_index, scores, int(tensors["NUM_NODES"][0]), self.cuts, tensors.get("FEATURES"))
        return {"LABELS": labels, "EDGE_INDEX": edge_index, "EDGE_SCORES": scores}
