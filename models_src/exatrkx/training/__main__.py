"""Training command, `python -m exatrkx.training`: one network or all three, then the working point."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exatrkx.commands import at_least, command_parser, run_command
from exatrkx.training.recipes import RECIPES

if TYPE_CHECKING:
    from collections.abc import Sequence

NETWORKS: Final = ("embed", "filter", "gnn")
CHOOSE: Final = "choose"
_MOST_THREADS: Final = 4096


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = command_parser(
        "python -m exatrkx.training",
        __doc__,
        "exatrkx train all --train train*.parquet --valid valid*.parquet --output my_weights",
        "exatrkx train gnn --recipe quick --train a.parquet --valid b.parquet --output my_weights",
    )
    parser.add_argument(
        "stage",
        choices=(*NETWORKS, "all", CHOOSE),
        help=f"the network to train, or all in their order; {CHOOSE}: only the working point, for trained networks",
    )
    parser.add_argument("--train", type=Path, nargs="+", default=[], help="event files to learn from")
    parser.add_argument(
        "--valid", type=Path, nargs="+", required=True, help="event files to choose on, each as weighty as the others"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for weights, checkpoints and logs")
    parser.add_argument("--recipe", choices=RECIPES, default="laptop", help="sizes and schedules")
    parser.add_argument(
        "--keep-radius", type=at_least(float, 0, 1), metavar="PART", help="of true edges within the radius"
    )
    parser.add_argument(
        "--keep-filter", type=at_least(float, 0, 1), metavar="PART", help="of those above the filter's cut"
    )
    parser.add_argument(
        "--minutes",
        type=at_least(float, 0.01),
        help="for each network, in place of the recipe's number of epochs: it ends in time",
    )
    parser.add_argument("--limit", type=at_least(int, 1), help="use this many events of each training file")
    parser.add_argument("--start", type=Path, help="folder of weights of the same sizes to start from")
    parser.add_argument(
        "--mean-with",
        type=Path,
        metavar="FOLDER",
        help="of weights of the same sizes: what is kept is the mean of them and the trained ones",
    )
    parser.add_argument("--seed", type=at_least(int, -sys.maxsize), default=1)
    parser.add_argument(
        "--threads",
        type=at_least(int, 1, _MOST_THREADS),
        help="CPU threads; fewer than the cores where others use them too",
    )
    parser.add_argument("--device", help="default: cuda where there is a GPU, else cpu")
    parser.add_argument("--overwrite", action="store_true", help="replace networks that another run left in --output")
    options = parser.parse_args(arguments)
    if options.stage != CHOOSE and not options.train:
        parser.error("--train: event files to learn from")
    return options


def train(options: argparse.Namespace) -> None:
    """Do what the command line asks for.

    Raises:
        ExatrkxError, OSError: events or weights are not as they should be; the text gives the reason.
    """
    import torch  # noqa: PLC0415 - `--help` needs none

    from exatrkx.training.run import Training  # noqa: PLC0415

    if options.threads:
        torch.set_num_threads(options.threads)
    training = Training(options)
    for stage in NETWORKS if options.stage == "all" else (options.stage,):
        getattr(training, stage)()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command("training", lambda: train(parse(arguments)))


if __name__ == "__main__":
    raise SystemExit(main())
