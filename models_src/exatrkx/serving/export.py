"""Export command: write the TorchScript files that the server loads, and prove each of them.

    exatrkx export

exports the committed networks. Your own networks take their place with --embed, --filter and --gnn, each either a
TorchScript file, or a Python module with a factory and a checkpoint:

    exatrkx export --embed my_embedding.pt --radius 0.4
    exatrkx export --gnn my_networks.py:build_gnn --gnn-checkpoint gnn.ckpt

or a checkpoint that Lightning wrote of a network of acorn (MetricLearning, Filter, InteractionGNN), by itself:

    exatrkx export --embed metric_learning.ckpt --filter filter.ckpt --gnn gnn.ckpt --radius 0.1 --output my_repository

The radius belongs to the embedding: another one needs its own, by --radius or --working-point. Networks must return
logits; --scores probabilities turns what others return.

Networks may take further columns of FEATURES, after those of the position: which, in which order, and what each is
divided by, is a field of the working point, or said by --extra-features charge/100,count. How many they take is tried.

A model repository of its own, beside the project's, is written with --output:

    exatrkx export --weights my_weights --output my_repository
    exatrkx serve --model-repository my_repository
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from exatrkx.commands import command_parser, program, run_command
from exatrkx.contract import NUM_FEATURES
from exatrkx.errors import ContractError, ExatrkxError
from exatrkx.files import check_outputs, write_files
from exatrkx.progress import bar
from exatrkx.project_files import project_files
from exatrkx.run_settings import asked, told
from exatrkx.serving.export_inputs import KINDS, inputs_of, load_networks, load_working_point
from exatrkx.serving.model_config import edited_configs
from exatrkx.working_point import WEIGHTS_DIR

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor, nn
    from torch.jit import ScriptModule

    from exatrkx.networks.proof import Proof
    from exatrkx.working_point import WorkingPoint

LOGITS, PROBABILITIES = SCORES = ("logits", "probabilities")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; see `--help`."""
    parser = command_parser("trace_models.py", __doc__, "exatrkx export --weights my_weights --output my_repository")
    project = project_files()
    parser.add_argument("--weights", type=Path, default=WEIGHTS_DIR, help="folder of trained networks (safetensors)")
    parser.add_argument(
        "--repository",
        type=Path,
        default=project.model_repository,
        help="model repository to write to: networks, and cuts in its config.pbtxt files (default: the project's)",
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="write a complete copy of --repository here, and leave that as it is"
    )
    parser.add_argument("--working-point", type=Path, help="JSON file of cuts; that of --weights unless given")
    parser.add_argument("--radius", type=float, help="in place of the working point's, for another embedding")
    parser.add_argument(
        "--extra-features",
        metavar="LIST",
        help="in place of the working point's: columns after r, φ and z that the networks take, as charge/100,count",
    )
    parser.add_argument(
        "--graph-construction", metavar="NAME", help="in place of the working point's: fixed_radius, or module:function"
    )
    parser.add_argument(
        "--scores",
        choices=SCORES,
        help="what scores are that all lie in [0, 1]: probabilities, to be turned into logits, or logits already",
    )
    parser.add_argument(
        "--random-weights", action="store_true", help="take factories' networks that no weights were loaded into"
    )
    for kind in KINDS:
        parser.add_argument(f"--{kind}", help=f"your own {kind} network: model.pt, module:factory, or acorn's .ckpt")
        parser.add_argument(f"--{kind}-checkpoint", type=Path, help="weights for module:factory")
    options = parser.parse_args(arguments)
    if not (options.output or project.is_checkout) and options.repository == project.model_repository:
        parser.error("--output is needed: a new folder for a copy of the installed package's model repository")
    return options


class ServedNetwork(NamedTuple):
    """A network as it is served.

    Attributes:
        script: TorchScript.
        kernel_parameters: of `exatrkx.networks.kernel_parameters`; None where that knows none for it.
        proof: that it keeps the contract.
    """

    script: ScriptModule
    kernel_parameters: Tensor | None
    proof: Proof


def served_networks(
    networks: Mapping[str, nn.Module], scores: Mapping[str, str], columns: int = NUM_FEATURES
) -> dict[str, ServedNetwork]:
    """The networks as they are served.

    Args:
        networks: eager or TorchScript, by the models that will serve them.
        scores: of those whose scores may all lie in [0, 1], which of `SCORES` they are.
        columns: F, of FEATURES, which all of them take.

    Raises:
        ContractError: a network does not keep the contract.
    """
    from exatrkx.networks.kernel_parameters import kernel_parameters  # noqa: PLC0415 - as above
    from exatrkx.networks.proof import examine, gives_probabilities, prove, require_columns  # noqa: PLC0415
    from exatrkx.networks.torchscript import contract_form, served_form  # noqa: PLC0415

    for kind, network in networks.items():
        require_columns(kind, network, columns)
    wanted = [kind for kind, meaning in scores.items() if meaning == PROBABILITIES]
    turned = [kind for kind in wanted if gives_probabilities(kind, networks[kind], columns)]
    if wanted and not turned:
        raise ContractError(f"--scores {PROBABILITIES}: those of {', '.join(wanted)} do not all lie in [0, 1]")
    found = {}
    for kind, network in bar(networks.items(), unit="network", leave=False):
        examine(kind, network, columns)  # before a trace, which keeps one answer of several
        form = contract_form(kind, network, probabilities=kind in turned, columns=columns)
        served = served_form(kind, form, columns=columns)
        logits = kind in turned or scores.get(kind) == LOGITS
        proof = prove(kind, served, None if served is form else form, logits=logits, columns=columns)
        found[kind] = ServedNetwork(served, kernel_parameters(form), proof)
    return found


def write_networks(
    networks: Mapping[str, ServedNetwork], weights: Mapping[str, str], point: WorkingPoint, repository: Path
) -> list[Path]:
    """Write the networks, their weights' digests and the working point into a model repository, all or nothing.

    Returns:
        The configurations that have another working point now.

    Raises:
        ContractError: a network cannot be written, or a configuration cannot be edited; nothing is written.
        OSError: a file cannot be written; the repository is as it was.
    """
    from exatrkx.networks.served import with_digest  # noqa: PLC0415 - as above
    from exatrkx.networks.torchscript import to_bytes  # noqa: PLC0415

    others = list(edited_configs(repository, point))
    configs = edited_configs(repository, point, weights)
    files = {
        repository / kind / "1" / "model.pt": to_bytes(with_digest(kind, one.script, one.kernel_parameters))
        for kind, one in networks.items()
    }
    write_files({**files, **configs})
    return others


@contextmanager
def complete_copy(repository: Path, target: Path) -> Iterator[Path]:
    """Within the `with` a copy of a model repository, without networks, which becomes `target` at its end.

    Raises:
        ExatrkxError: `target` is there already.
    """
    if target.exists():
        raise ExatrkxError(f"{target}: is there already; --repository writes into a repository that exists")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        unused = shutil.ignore_patterns("model.pt", "__pycache__", "*.partial")
        copy = Path(shutil.copytree(repository, Path(folder) / target.name, ignore=unused))
        yield copy
        copy.rename(target)


def trace(options: argparse.Namespace) -> None:
    """Do what the command line asks for.

    Raises:
        ExatrkxError, OSError: a network or the working point is not as it should be; the text gives the reason.
    """
    import torch  # noqa: PLC0415 - as above

    from exatrkx.networks.storage import hash_weights  # noqa: PLC0415 - as above
    from exatrkx.serving.trial import try_chain  # noqa: PLC0415

    torch.set_num_threads(1)  # the probes are small, and on a busy machine threads wait for each other
    target = options.output or options.repository
    if not options.output:
        check_outputs([target / kind / "1" / "model.pt" for kind in KINDS], inputs_of(options), make_folders=False)
    with complete_copy(options.repository, target) if options.output else nullcontext(target) as repository:
        networks = load_networks(options)
        point = load_working_point(options, networks)
        weights = {kind: hash_weights(network) for kind, network in networks.items()}
        own = {kind: options.scores for kind in KINDS if getattr(options, kind)}
        served = served_networks(networks, {**dict.fromkeys(KINDS, LOGITS), **own}, point.num_features)
        trial, warning = try_chain({kind: one.script for kind, one in served.items()}, point)
        configs = write_networks(served, weights, point, repository)
    for kind, one in served.items():
        proof = one.proof
        difference = "TorchScript as it came, not compared with an eager network"
        if proof.largest_difference is not None:
            difference = f"largest difference to the eager network {proof.largest_difference:.1e}"
        path = target / kind / "1" / "model.pt"
        print(f"{kind:8} {path}: weights {weights[kind]:.16}, contract kept on {proof.probes} graphs, {difference}")
    print(f"chain:   {trial}")
    if warning:
        print(f"{program('trace_models')}: warning: {warning}", file=sys.stderr)
    print(told(asked(options)))  # what of it decides answers is in the configurations
    names = ", ".join(str(path.relative_to(repository)) for path in configs)
    if options.output:
        print(f"cuts: {names or 'as they were'}; exatrkx serve --model-repository {target} serves the copy")
    elif configs:
        print(
            f"cuts: {names} of {target} are rewritten with another working point; --output DIR leaves them as they are "
            "and writes a complete copy"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command("trace_models", lambda: trace(parse(arguments)))


if __name__ == "__main__":
    sys.exit(main())
