"""Stand-in for Triton's LibTorch backend, where a server has none: runs `<model>/<version>/model.pt` in Python.

It takes the same files and the same parameters of config.pbtxt (`DISABLE_OPTIMIZED_EXECUTION`,
`INTRA_OP_THREAD_COUNT`, `INTER_OP_THREAD_COUNT`), so that nothing changes where the real backend is. Unlike that one,
it looks at the tensors first, and refuses what would end in a crash or in nonsense.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from exatrkx import checks
from exatrkx.contract import EMBED, FILTER, GNN
from exatrkx.digest import added, features_digest, payload_digest
from exatrkx.errors import ContractError
from exatrkx.networks.torchscript import inference, load_torchscript
from exatrkx.serving.adapter import Arrays, Step, check_output
from exatrkx.serving.refusals import BrokenModelError

NETWORKS: Final = {spec.name: spec for spec in (EMBED, FILTER, GNN)}


class TritonPythonModel(Step):
    """One TorchScript network: features, for an edge network also edges, in; its output and a digest out."""

    network: torch.jit.ScriptModule
    optimized: bool

    def initialize(self, args: dict[str, str]) -> None:
        name = args["model_name"]
        if name not in NETWORKS:
            raise ContractError(f"{name}: no network of the pipeline; known are {', '.join(NETWORKS)}")
        self.spec = NETWORKS[name]
        super().initialize(args)

    def load(self, args: dict[str, str]) -> None:
        self._configure_torch()
        self.network = load_torchscript(_model_file(args), str(self.device))

    def from_host(self, tensor: Any) -> Any:
        return torch.from_dlpack(tensor).numpy()  # NumPy's own arrays of it are read-only, which torch warns of

    def use_gpu(self, number: int) -> None:
        super().use_gpu(number)
        torch.cuda.set_device(number)

    def run(self, tensors: Arrays) -> Arrays:
        features, *edges = (tensors[spec.name] for spec in self.spec.inputs)
        digest = added(features_digest(features), *map(payload_digest, edges))
        checks.check_finite(features, self.spec.inputs[0].name)
        if edges:
            checks.check_edge_index(edges[0], len(features), self.spec.inputs[1].name)
        with inference(optimized=self.optimized):
            output = self.network(*(self._to_torch(array) for array in (features, *edges)))
        scores = self._one_row_each(self._from_torch(output), features, *edges)
        digest = added(digest, payload_digest(scores))
        return dict(zip((spec.name for spec in self.spec.outputs), (scores, np.array([digest])), strict=True))

    def _one_row_each(self, output: Any, features: Any, edge_index: Any = None) -> Any:
        """The network's output, [E,1] made [E]; refused unless it has a row for each spacepoint or edge."""
        spec = self.spec.outputs[0]
        rows = len(features) if edge_index is None else edge_index.shape[1]
        if edge_index is not None and output.ndim == 2:  # noqa: PLR2004 - a matrix
            output = output.reshape(-1)
        if len(output) != rows:
            raise BrokenModelError(f"{spec.name}: the network returned {len(output)} entries for {rows}")
        check_output(output, spec)
        return output

    def _configure_torch(self) -> None:
        if threads := self.parameters.get("INTRA_OP_THREAD_COUNT"):
            torch.set_num_threads(int(threads))
        torch.set_num_interop_threads(int(self.parameters.get("INTER_OP_THREAD_COUNT", "1")))
        self.optimized = self.parameters.get("DISABLE_OPTIMIZED_EXECUTION", "false").lower() != "true"

    def _to_torch(self, array: Any) -> torch.Tensor:
        if self.device.gpu is None:
            return torch.from_numpy(array)
        if array.size == 0:  # nothing to hand over, and DLPack may refuse to
            return torch.from_numpy(array.get()).to(str(self.device))
        tensor: torch.Tensor = torch.utils.dlpack.from_dlpack(array)
        return tensor

    def _from_torch(self, tensor: torch.Tensor) -> Any:
        if self.device.gpu is None or tensor.numel() == 0:
            return tensor.numpy(force=True)
        import cupy  # noqa: PLC0415 - only where there is a GPU

        torch.cuda.current_stream().synchronize()
        return cupy.from_dlpack(tensor.contiguous())


def _model_file(args: dict[str, str]) -> Path:
    # The "repository" that Triton names is this model's directory in it.
    return Path(args["model_repository"]) / args["model_version"] / "model.pt"
