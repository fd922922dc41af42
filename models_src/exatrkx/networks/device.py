"""Device of networks: by its name, tried before anything is computed there."""

from __future__ import annotations

import torch

from exatrkx.errors import ContractError


def usable_device(name: str | None = None) -> torch.device:
    """The device of this name, as PyTorch knows it: cpu, cuda, cuda:1; a GPU where there is one, unless it is named.

    Raises:
        ContractError: there is no such device, or this PyTorch cannot use it.
    """
    chosen = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(chosen)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError) as error:  # torch has both of them for this
        reason = str(error).strip().partition("\n")[0]
        raise ContractError(f"device {chosen!r} cannot be used: {reason}") from error
    return device
