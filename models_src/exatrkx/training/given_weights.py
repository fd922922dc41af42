"""Weights that somebody has made: to start a training from, and for a mean with what it has made."""

from __future__ import annotations

import json
from inspect import signature
from typing import TYPE_CHECKING

import torch

from exatrkx.errors import ContractError
from exatrkx.networks.storage import Network, load_network, read_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn


def given_network(folder: Path, kind: str, sizes: Mapping[str, int]) -> Network:
    """The network of this kind in a folder of weights.

    Raises:
        ContractError: it has other sizes, or is none.
        FileNotFoundError: there is no such file.
    """
    path = folder / f"{kind}.safetensors"
    network = load_network(path)
    # Files of before have no sizes that came later: those are what the network has without them.
    defaults = {name: one.default for name, one in signature(type(network)).parameters.items() if name in sizes}
    if (found := defaults | json.loads(read_metadata(path)["sizes"])) != sizes:
        raise ContractError(f"{path}: expected a network of {sizes}, found one of {found}")
    return network


def mean_weights(network: nn.Module, other: nn.Module) -> dict[str, torch.Tensor]:
    """The mean of two networks' weights, by name; both have one form, and were trained from one start, or the other's.

    It is often better than either (Wortsman et al., Model soups, ICML 2022): here a network that learnt with soft
    particles counted more, and the one before, each lose what the other one finds.
    """
    weights = other.state_dict()
    return {
        name: torch.lerp(weight, weights[name].to(weight.device), 0.5) for name, weight in network.state_dict().items()
    }
