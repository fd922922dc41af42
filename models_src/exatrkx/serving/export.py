"""Export command: write the TorchScript files that the server loads, and prove each of them.

    exatrkx export

exports the committed networks. Your own networks take their place with --weights, or with --embed, --filter and --gnn,
each either a TorchScript file, or a Python module with a factory and a checkpoint:

    exatrkx export --embed my_embedding.pt --working-point my_working_point.json
    exatrkx export --gnn my_networks.py:build_gnn --gnn-checkpoint gnn.ckpt
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exatrkx.commands import EXIT_CODES, add_version, program, run_command
from exatrkx.project_files import project_files
from exatrkx.serving.model_config import write_working_point
from exatrkx.working_point import WEIGHTS_DIR, WorkingPoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from exatrkx.networks.torchscript import Proof

KINDS: Final = ("embed", "filter", "gnn")


def export(kind: str, network: nn.Module, repository: Path) -> Proof:
    """Write one network to `<repository>/<kind>/1/model.pt`, proved against the contract and against itself.

    Raises:
        ContractError: the network does not keep the contract; nothing is written then.
    """
    from torch.jit import ScriptModule  # noqa: PLC0415 - `--help` needs no torch

    from exatrkx.networks.torchscript import prove, save, served_form  # noqa: PLC0415

    eager = None if isinstance(network, ScriptModule) else network
    served = served_form(kind, network)
    proof = prove(kind, served, eager)
    save(served, repository / kind / "1" / "model.pt")
    return proof


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    project = project_files()
    command = argparse.ArgumentParser(
        prog=program("trace_models.py"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EXIT_CODES,
    )
    add_version(command)
    add = command.add_argument
    add("--weights", type=Path, default=WEIGHTS_DIR, help="folder of trained networks (safetensors)")
    where = (
        f"default: {project.model_repository}" if project.is_checkout else "required: the package's own is not changed"
    )
    add(
        "--repository",
        "--output",
        type=Path,
        default=project.model_repository if project.is_checkout else None,
        required=not project.is_checkout,
        help=f"model repository to write to; made where it is missing ({where})",
    )
    add("--working-point", type=Path, help="JSON file of cuts; that of --weights unless given")
    for kind in KINDS:
        add(f"--{kind}", help=f"your own {kind} network: model.pt, or module:factory")
        add(f"--{kind}-checkpoint", type=Path, help="weights for module:factory")
    return command


def trace(options: argparse.Namespace) -> None:
    """Do what the command line asks for.

    Raises:
        ExatrkxError, OSError: a network or the working point is not as it should be; the text gives the reason.
    """
    import torch  # noqa: PLC0415 - `--help` needs no torch

    from exatrkx.networks.storage import load_network  # noqa: PLC0415
    from exatrkx.networks.user_network import load_user_network  # noqa: PLC0415

    torch.set_num_threads(1)  # the probes are small, and on a busy machine threads wait for each other
    point = WorkingPoint.load(options.working_point or options.weights / "working_point.json")
    if not options.repository.exists():
        shutil.copytree(
            project_files().model_repository,
            options.repository,
            ignore=shutil.ignore_patterns("*.pt", "*.partial", "__pycache__"),
        )
    for kind in KINDS:
        source = getattr(options, kind)
        network = (
            load_user_network(source, getattr(options, f"{kind}_checkpoint"))
            if source
            else load_network(options.weights / f"{kind}.safetensors")
        )
        proof = export(kind, network, options.repository)
        print(
            f"{kind:8} {options.repository / kind / '1' / 'model.pt'}: contract kept on {proof.probes} graphs, "
            f"largest difference to the eager network {proof.largest_difference:.1e}"
        )
    for path in write_working_point(options.repository, point):
        print(f"changed  {path}: other cuts than before")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    options = parser().parse_args(arguments)
    return run_command("trace_models", lambda: trace(options))


if __name__ == "__main__":
    sys.exit(main())
