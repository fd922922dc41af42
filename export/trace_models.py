"""Write the TorchScript files that the server loads, and prove each of them.

    python export/trace_models.py

exports the committed networks. Your own networks take their place with --embed, --filter and --gnn, each either a
TorchScript file, or a Python module with a factory and a checkpoint:

    python export/trace_models.py --embed my_embedding.pt --working-point my_working_point.json
    python export/trace_models.py --gnn my_networks.py:build_gnn --gnn-checkpoint gnn.ckpt
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from exatrkx.commands import EXIT_CODES, add_version, run_command
from exatrkx.networks.storage import load_network
from exatrkx.networks.torchscript import Proof, prove, save, served_form
from exatrkx.networks.user_network import load_user_network
from exatrkx.serving.model_config import write_working_point
from exatrkx.working_point import WEIGHTS_DIR, WorkingPoint

if TYPE_CHECKING:
    from collections.abc import Sequence

REPOSITORY = Path(__file__).parent.parent / "model_repository"
KINDS = ("embed", "filter", "gnn")


def export(kind: str, network: torch.nn.Module, repository: Path) -> Proof:
    """Write one network to `<repository>/<kind>/1/model.pt`, proved against the contract and against itself.

    Raises:
        ContractError: the network does not keep the contract; nothing is written then.
    """
    eager = None if isinstance(network, torch.jit.ScriptModule) else network
    served = served_form(kind, network)
    proof = prove(kind, served, eager)
    save(served, repository / kind / "1" / "model.pt")
    return proof


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EXIT_CODES
    )
    add_version(parser)
    parser.add_argument("--weights", type=Path, default=WEIGHTS_DIR, help="folder of trained networks (safetensors)")
    parser.add_argument("--repository", type=Path, default=REPOSITORY, help="model repository to write to")
    parser.add_argument("--working-point", type=Path, help="JSON file of cuts; that of --weights unless given")
    for kind in KINDS:
        parser.add_argument(f"--{kind}", help=f"your own {kind} network: model.pt, or module:factory")
        parser.add_argument(f"--{kind}-checkpoint", type=Path, help="weights for module:factory")
    return parser.parse_args(arguments)


def trace(options: argparse.Namespace) -> None:
    """Do what the command line asks for.

    Raises:
        ExatrkxError, OSError: a network or the working point is not as it should be; the text gives the reason.
    """
    torch.set_num_threads(1)  # the probes are small, and on a busy machine threads wait for each other
    point = WorkingPoint.load(options.working_point or options.weights / "working_point.json")
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
    write_working_point(options.repository, point)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    options = parse(arguments)
    return run_command("trace_models", lambda: trace(options))


if __name__ == "__main__":
    raise SystemExit(main())
