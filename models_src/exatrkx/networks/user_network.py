"""Users' own networks: a TorchScript file, or a Python factory with a checkpoint."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors.torch import load_file
from torch import nn

from exatrkx.errors import ContractError
from exatrkx.networks.torchscript import load_torchscript

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

TORCHSCRIPT_SUFFIXES: Final = (".pt", ".pth", ".ts")


def load_user_network(source: str, checkpoint: Path | None = None, *, random_weights: bool = False) -> nn.Module:
    """Read a network that is not this package's, in evaluation mode on the CPU.

    Args:
        source: path of a TorchScript file, or `module:factory`, where the module is an importable name or the path of
            a .py file, and the factory a class or function that is called with no arguments and gives an `nn.Module`.
        checkpoint: weights for a factory's network: safetensors, or a torch file that holds a state dictionary, by
            itself or as "state_dict" as Lightning writes it.
        random_weights: take a factory's network although nothing was loaded into it: to measure it, say.

    Raises:
        ContractError: what `source` or `checkpoint` names is missing or of the wrong kind, or the weights are random;
            the text says which.
    """
    if Path(source).suffix in TORCHSCRIPT_SUFFIXES:
        if checkpoint is not None:
            raise ContractError(f"{source}: TorchScript holds its own weights; a checkpoint goes with module:factory")
        return load_torchscript(Path(source))
    module_name, separator, factory_name = source.rpartition(":")
    if not separator:
        raise ContractError(
            f"{source}: neither a TorchScript file ({', '.join(TORCHSCRIPT_SUFFIXES)}) nor module:factory"
        )
    factory = getattr(_module(module_name), factory_name, None)
    if not callable(factory):
        raise ContractError(f"{module_name} has no callable {factory_name}")
    network = _made(source, factory)
    if checkpoint is not None:
        _load_weights(network, checkpoint)
    elif not random_weights:
        _require_weights(source, factory)
    return network.eval()


def _made(source: str, factory: Callable[[], object]) -> nn.Module:
    try:
        network = factory()
    except Exception as error:
        raise ContractError(f"{source} fails when called with no arguments: {error}") from error
    if not isinstance(network, nn.Module):
        raise ContractError(f"{source} must give a torch.nn.Module, found {type(network).__name__}")
    return network


def _require_weights(source: str, factory: Callable[[], object]) -> None:
    """Refuse random weights: those that are others with another seed, or may be, since the factory sets one itself."""
    made = []
    seeds_itself = False
    with torch.random.fork_rng(devices=[]):
        for seed in (1, 2):
            torch.manual_seed(seed)
            made.append(_made(source, factory).state_dict())
            seeds_itself |= torch.initial_seed() != seed
    random = [name for name, tensor in made[0].items() if seeds_itself or not torch.equal(tensor, made[1][name])]
    if random:
        raise ContractError(
            f"{source}: {random[0]} is random: no weights were loaded; name a checkpoint, or take it so with "
            "--random-weights"
        )


def _module(name: str) -> ModuleType:
    path = Path(name)
    if path.suffix != ".py":
        try:
            return importlib.import_module(name)
        except Exception as error:  # whatever a user's module raises
            raise ContractError(f"module {name} cannot be imported: {error}") from error
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ContractError(f"{path}: no such Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses and pickles of the module look it up by name
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ContractError(f"{path} cannot be imported: {error}") from error
    return module


def _load_weights(network: nn.Module, checkpoint: Path) -> None:
    try:
        weights: dict[str, Any] = (
            load_file(checkpoint)
            if checkpoint.suffix == ".safetensors"
            else torch.load(checkpoint, map_location="cpu", weights_only=True)
        )
        network.load_state_dict(weights.get("state_dict", weights))
    except Exception as error:
        # Unpickling, safetensors and load_state_dict each raise kinds of their own.
        raise ContractError(f"{checkpoint}: no weights for {type(network).__name__}: {error}") from error
