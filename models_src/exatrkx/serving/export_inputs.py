"""Inputs of an export: the networks and the working point that its command line names."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exatrkx.commands import program
from exatrkx.contract import EMBED, FILTER, GNN
from exatrkx.errors import ContractError
from exatrkx.working_point import UNLESS_SAID, WorkingPoint

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from torch import nn

KINDS: Final = tuple(spec.name for spec in (EMBED, FILTER, GNN))


def load_networks(options: argparse.Namespace) -> dict[str, nn.Module]:
    """The networks that the command line names, by the models that will serve them.

    Raises:
        ContractError, FileNotFoundError: one of them is not there, or is none.
    """
    from exatrkx.networks.acorn import SUFFIX, load_checkpoint  # noqa: PLC0415 - `--help` needs no torch
    from exatrkx.networks.storage import load_network, mismatches  # noqa: PLC0415
    from exatrkx.networks.user_network import load_user_network  # noqa: PLC0415

    def load(kind: str) -> nn.Module:
        source, checkpoint = getattr(options, kind), getattr(options, f"{kind}_checkpoint")
        if not source:
            return load_network(options.weights / f"{kind}.safetensors")
        if source.endswith(SUFFIX) and checkpoint is None:
            return load_checkpoint(kind, Path(source))
        return load_user_network(source, checkpoint, random_weights=options.random_weights)

    trained = [kind for kind in KINDS if not getattr(options, kind)]
    networks = {kind: load(kind) for kind in KINDS}
    for text in mismatches(options.weights, trained):
        print(f"{program('trace_models')}: warning: {text}", file=sys.stderr)
    return networks


def load_working_point(options: argparse.Namespace, networks: Mapping[str, nn.Module]) -> WorkingPoint:
    """The working point that the command line names, with a radius that is this embedding's.

    Networks of acorn say which columns they take; unless the working point has such a list, theirs is put into it.

    Raises:
        ContractError: it is none, its radius was chosen for another embedding, or its list lacks a network's column.
        FileNotFoundError: it is not there.
    """
    from exatrkx.networks.acorn import AcornNetwork, taken_features  # noqa: PLC0415 - as above

    point = _with_radius(options, networks[EMBED.name])
    if not point.extra:
        point = replace(point, extra_features=",".join(map(str, taken_features(networks.values()))))
    for network in networks.values():
        if isinstance(network, AcornNetwork):
            network.take_from(point.extra)
    return point


def _with_radius(options: argparse.Namespace, embed: nn.Module) -> WorkingPoint:
    from exatrkx.networks.storage import hash_tensors  # noqa: PLC0415 - as above

    path = options.working_point or options.weights / "working_point.json"
    point = WorkingPoint.load(path)
    given = {name: getattr(options, name) for name in UNLESS_SAID if getattr(options, name) is not None}
    point = replace(point, **given)
    if options.radius is not None:
        return replace(point, radius=options.radius, embedding="")
    named = options.embed is None or options.working_point is not None or point.embedding
    if not named or not point.fits(hash_tensors(embed.state_dict())):
        raise ContractError(
            f"{path}: its radius {point.radius} was chosen for another embedding than "
            f"{options.embed or options.weights / 'embed.safetensors'}; give that of this one with --radius or "
            "--working-point"
        )
    return point


def inputs_of(options: argparse.Namespace) -> list[Path]:
    """The files and folders that the command line names to be read."""
    networks = [Path(name.partition(":")[0]) for kind in KINDS if (name := getattr(options, kind))]
    others = [options.weights, options.working_point, *(getattr(options, f"{kind}_checkpoint") for kind in KINDS)]
    return [*networks, *(path for path in others if path and path.exists())]
