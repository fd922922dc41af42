"""The custom backend in Python: the whole pipeline in one process, where the compiled backend is not built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from exatrkx.contract import CUSTOM
from exatrkx.pipeline import Pipeline
from exatrkx.serving.adapter import Arrays, Step
from exatrkx.serving.admission import check_gnn_memory


class TritonPythonModel(Step):
    """Serves `exatrkx.pipeline.Pipeline` with the TorchScript networks of the same model repository."""

    spec = CUSTOM
    pipeline: Pipeline

    def load(self, args: dict[str, str]) -> None:
        # The "repository" that Triton names is this model's directory in it.
        repository = Path(args["model_repository"]).parent
        embed, edge_filter, gnn = (repository / self.parameters[name] for name in ("embed", "filter", "gnn"))
        self.pipeline = Pipeline.from_torchscript(embed, edge_filter, gnn, self.cuts, device=str(self.device))
        self.pipeline.admit = check_gnn_memory

    def from_host(self, tensor: Any) -> Any:
        return torch.from_dlpack(tensor).numpy()  # NumPy's own arrays of it are read-only, which torch warns of

    def run(self, tensors: Arrays) -> Arrays:
        tracks = self.pipeline(tensors["FEATURES"])
        return {"LABELS": tracks.labels, "EDGE_INDEX": tracks.edge_index, "EDGE_SCORES": tracks.edge_scores}
