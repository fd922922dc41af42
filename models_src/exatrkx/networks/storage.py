"""Network files (safetensors), which carry the network's kind, sizes and origin beside its weights.

The origin is what a network was trained on: `run`, a hash of events and settings, and for each network before it, under
its kind, the hash of the weights whose graphs it has learnt from. Files without it, of other sources, are as good.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from exatrkx.errors import ContractError
from exatrkx.networks.mlp import EdgeFilter, Embedding
from exatrkx.networks.triplet_network import TripletNetwork

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from torch import Tensor

Network = Embedding | EdgeFilter | TripletNetwork

KINDS: Final[dict[str, type[Network]]] = {"embed": Embedding, "filter": EdgeFilter, "gnn": TripletNetwork}
"""The network that stands behind each served model, in the order in which they are trained."""


def network_bytes(
    kind: str, sizes: dict[str, int], network: nn.Module, origin: Mapping[str, str] | None = None
) -> bytes:
    """Content of the safetensors file of `network`, built as `KINDS[kind](**sizes)`."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    return save(tensors, metadata={**(origin or {}), "kind": kind, "sizes": json.dumps(sizes)})


def load_network(path: Path) -> Network:
    """Read a network, on the CPU and in evaluation mode.

    Raises:
        ContractError: the file is not a network of this package, or is damaged.
        FileNotFoundError: there is no such file.
    """
    metadata = read_metadata(path)
    try:
        network = KINDS[metadata["kind"]](**json.loads(metadata["sizes"]))
        network.load_state_dict(load_file(path))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ContractError(f"{path}: no network of this package: {error}") from error
    return network.eval()


def read_metadata(path: Path) -> dict[str, str]:
    """Kind, sizes and origin of a network in a file.

    Raises:
        ContractError: the file is damaged, or is no safetensors file.
        FileNotFoundError: there is no such file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except SafetensorError as error:
        raise ContractError(f"{path}: no network of this package: {error}") from error


def mismatches(folder: Path, kinds: Iterable[str] = tuple(KINDS)) -> list[str]:
    """What does not belong together among the networks of a folder, a sentence each; unknown files are passed over.

    A network that learnt from the graphs of other ones than those beside it still works, but less well than it could,
    and the cuts that were chosen with the others do not hold.
    """
    paths = {kind: folder / f"{kind}.safetensors" for kind in kinds}
    hashes = {kind: hash_tensors(load_file(path)) for kind, path in paths.items()}
    origins = {kind: read_metadata(path) for kind, path in paths.items()}
    return [
        f"{paths[kind]} was not trained with the {paths[before].name} beside it, but with another one: train it again, "
        "or put back the one that belongs to it"
        for kind in paths
        for before in paths
        if origins[kind].get(before, hashes[before]) != hashes[before]
    ]


def hash_weights(network: nn.Module) -> str:
    """`hash_tensors` of a network's weights; of a frozen one they are constants of its graph."""
    graph = getattr(network, "inlined_graph", None)
    nodes = graph.findAllNodes("prim::Constant") if graph is not None else ()
    constants = [node.t("value") for node in nodes if "value" in node.attributeNames() and node.kindOf("value") == "t"]
    return hash_tensors({**network.state_dict(), **{f" {place}": one for place, one in enumerate(constants)}})


def hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and contents, in the order of the names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
