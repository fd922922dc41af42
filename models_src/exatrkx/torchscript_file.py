"""A network as it is served: how a TorchScript file is read and run. Imports torch and nothing else that takes time."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import torch

from exatrkx.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def load_torchscript(path: Path, device: str = "cpu") -> torch.jit.ScriptModule:
    """Read a TorchScript network in evaluation mode.

    Raises:
        ContractError: the file is missing or is no TorchScript.
    """
    if not path.is_file():
        raise ContractError(f"{path}: no such file; export/trace_models.py writes it")
    try:
        script: torch.jit.ScriptModule = torch.jit.load(str(path), map_location=device)  # type: ignore[no-untyped-call]  # torch's
        return script.eval()
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]  # torch appends its own stack
        raise ContractError(f"{path}: no TorchScript network: {reason}") from error


@contextlib.contextmanager
def inference(*, optimized: bool = False) -> Iterator[None]:
    """Run networks in this thread without gradients, and TorchScript as it is written unless `optimized`.

    The optimiser watches the first runs, compiles what it saw, and does so again for other sizes. Every event has
    another size: the GNN's first run took 150 ms that way and 20 ms as written, and later ones were no faster.
    """
    with torch.inference_mode(), torch.jit.optimized_execution(optimized):  # type: ignore[attr-defined]  # torch's
        yield
