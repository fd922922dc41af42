"""Network files (safetensors), which carry the network's kind and sizes beside its weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from exatrkx.errors import ContractError
from exatrkx.networks.mlp import EdgeFilter, Embedding
from exatrkx.networks.triplet_network import TripletNetwork

if TYPE_CHECKING:
    from pathlib import Path

Network = Embedding | EdgeFilter | TripletNetwork

KINDS: Final[dict[str, type[Network]]] = {"embed": Embedding, "filter": EdgeFilter, "gnn": TripletNetwork}
"""The network that stands behind each served model."""


def save_network(path: Path, kind: str, sizes: dict[str, int], network: nn.Module) -> None:
    """Write `network`, built as `KINDS[kind](**sizes)`, to a safetensors file."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    save_file(tensors, path, metadata={"kind": kind, "sizes": json.dumps(sizes)})


def load_network(path: Path) -> Network:
    """Read a network, on the CPU and in evaluation mode.

    Raises:
        ContractError: the file is not a network of this package, or is damaged.
        FileNotFoundError: there is no such file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        network = KINDS[metadata["kind"]](**json.loads(metadata["sizes"]))
        network.load_state_dict(weights)
    except FileNotFoundError:
        raise
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ContractError(f"{path}: no network of this package: {error}") from error
    return network.eval()
