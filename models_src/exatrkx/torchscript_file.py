"""Reading a network as it is served: a TorchScript file. Imports torch and nothing else that takes time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from exatrkx.errors import ContractError

if TYPE_CHECKING:
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
        raise ContractError(f"{path}: no TorchScript network: {error}") from error
