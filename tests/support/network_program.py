"""Served networks run by the engine's own code, by kernels or as TorchScript, through a program of the tests."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import compiled
import numpy as np
import torch

from exatrkx.networks.kernel_parameters import kernel_parameters
from exatrkx.networks.served import with_digest
from exatrkx.networks.torchscript import to_bytes, trace

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt
    from torch import Tensor, nn

TIMEOUT_S: Final = 300

NetworkT = TypeVar("NetworkT", bound="nn.Module")


@dataclass(frozen=True)
class NetworkProgram:
    """Runs networks on a device, `networks` where that is a GPU, and else with the kernels on host threads."""

    directory: Path
    device: str = "cpu"

    def run(
        self, model: Path, features: Tensor, edge_index: Tensor | None = None, *, networks: str = "kernels"
    ) -> subprocess.CompletedProcess[str]:
        """The program as it ended; its output is in `output`."""
        target = "networks-on-host" if self.device == "cpu" else "networks"
        program = compiled.build(target) / target
        files = [self.directory / name for name in ("features", "edges")]
        features.numpy().tofile(files[0])
        if edge_index is not None:
            edge_index.numpy().tofile(files[1])
        edges = "none" if edge_index is None else str(files[1])
        command = [
            str(program),
            str(model),
            self.device,
            str(files[0]),
            str(features.shape[1]),
            edges,
            str(self.output),
        ]
        environment = os.environ | {"EXATRKX_NETWORKS": networks}
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=environment)

    @property
    def output(self) -> Path:
        """Where the numbers are that the network gave last."""
        return self.directory / "output"

    def by_kernels(self, model: Path, features: Tensor, edge_index: Tensor | None = None) -> npt.NDArray[np.float32]:
        """What the kernels make of these, flat."""
        done = self.run(model, features, edge_index)
        assert (done.returncode, done.stdout, done.stderr) == (0, "kernels\n", "")
        return np.fromfile(self.output, dtype=np.float32)


def served_file(kind: str, network: nn.Module, path: Path, parameters: Tensor | None = None) -> Path:
    """The network as `exatrkx export` writes it, or with these parameters for the kernels."""
    numbers = kernel_parameters(network) if parameters is None else parameters
    path.write_bytes(to_bytes(with_digest(kind, trace(kind, network), numbers)))
    return path


def roughened(network: NetworkT) -> NetworkT:
    """An untrained network whose every parameter matters: negative gains too, and some that are zero."""
    for name, parameter in network.named_parameters():
        with torch.no_grad():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.5)
                if name.endswith("weight") and len(parameter) > 4:
                    parameter[1], parameter[2] = 0.0, -parameter[2].abs()
            else:
                parameter.mul_(1.5)
    return network.eval()
