"""Measure many ways of running the pipeline: `python perf/sweep.py`; see perf/README.md.

Every combination of the lists below is measured, --repeats times, and added to `results.csv` in --output; or those of
a --plan instead. Points that are there already are not measured again, so an interrupted sweep goes on where it was.
"""

from __future__ import annotations

import sys
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from exatrkx.commands import program
from exatrkx.events.readers import input_files
from exatrkx.files import check_outputs
from exatrkx.run_settings import asked, keep_settings
from exatrkx_perf import OUTPUT
from exatrkx_perf.command_line import add_event_arguments, list_of, parser_of, positive, run_command
from exatrkx_perf.events import features_of_repository, read_sample, write_input_file
from exatrkx_perf.points import Configuration, Grid, full_plan, interleaved, pileup_plan, quick_plan
from exatrkx_server.repository import default_repository
from exatrkx_server.resources import usable_cores

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; see `--help`."""
    parser = parser_of(__doc__, "exatrkx perf sweep --plan quick --output out/perf", notes="A list is written 1,2,4.")
    add = parser.add_argument
    add_event_arguments(parser)
    add("--output", type=Path, default=OUTPUT, help="folder of the results (default: %(default)s)")
    plans = "the points of `make perf` or `make perf-full`, and not the lists; pileup: each of EVENTS for itself"
    add("--plan", choices=("quick", "full", "pileup"), help=plans)
    add("--fresh", action="store_true", help="forget what --output has of an earlier sweep")
    add("--models", type=list_of(str), default=(), help="direct, or served models (default: all that can be served)")
    add("--concurrency", type=list_of(positive), default=(1, 2, 4, 8, 16), help="default: 1,2,4,8,16")
    add("--instances", type=list_of(positive), default=(1, 2, 3, 4, 5), help="default: 1,2,3,4,5")
    add("--threads", type=list_of(positive), default=(1, 2), help="of each process (default: 1,2)")
    add("--protocol", type=list_of(str, ("grpc", "http")), default=("grpc",), help="grpc, http (default: grpc)")
    add("--mode", type=list_of(str, ("sync", "async")), default=("sync",), help="sync, async (default: sync)")
    add(
        "--shared-memory", type=list_of(str, ("none", "system")), default=("none",), help="none, system (default: none)"
    )
    add("--direct-mode", type=list_of(str, ("processes", "threads")), default=("processes",), help="processes, threads")
    add("--repeats", type=positive, default=3, help="default: %(default)s")
    add("--rounds", type=positive, default=1, help="of a window over all events, at least (default: %(default)s)")
    add("--model-repository", type=Path, help="default: that of this project")
    add("--custom-backend", choices=("auto", "compiled", "python"), default="auto", help="default: what is built")
    return parser.parse_args(arguments)


def grids(options: argparse.Namespace, models: Sequence[str]) -> list[Grid]:
    """What the command line asks for, of these models."""
    if options.plan == "quick":
        return quick_plan(usable_cores(), models)
    if options.plan == "pileup":
        return pileup_plan(usable_cores(), models)
    if options.plan == "full":
        return full_plan(models)
    pairs = product(options.instances, options.threads)
    return [
        Grid(
            models=models,
            configurations=[Configuration(instances=instances, threads=threads) for instances, threads in pairs],
            concurrencies=options.concurrency,
            protocols=options.protocol,
            modes=options.mode,
            shared_memories=options.shared_memory,
            direct_modes=options.direct_mode,
        )
    ]


def sweep(options: argparse.Namespace) -> int:
    """Run it; 1 where something could not be measured."""
    from exatrkx_perf.servers import SweepServers, backends_of, measurable_models, serve  # noqa: PLC0415 - `--help` needs none of these
    from exatrkx_perf.sweeps import Sweep  # noqa: PLC0415

    repository = options.model_repository or default_repository()
    outputs = [options.output / name for name in ("results.csv", "steps.csv", "machine.json", "events.json")]
    check_outputs(outputs, input_files(options.events))
    if options.fresh:
        for name in ("results.csv", "steps.csv"):
            (options.output / name).unlink(missing_ok=True)
    together = [[one] for one in options.events] if options.plan == "pileup" else [options.events]
    taken = features_of_repository(repository)
    samples = [read_sample(events, options.limit, options.spacepoints, taken) for events in together]
    servers = SweepServers(repository, options.custom_backend, log_folder=options.output)
    models = measurable_models(servers) if options.plan or not options.models else options.models
    backends = backends_of(models, servers)
    problems = []
    for sample in samples:
        input_file = options.output / "events.json"
        write_input_file(sample, input_file)
        points = [point for grid in grids(options, models) for point in grid.points(backends, sample.name)]
        serving = partial(serve, settings=servers, sample=sample, input_file=input_file)
        runs = Sweep(sample, options.output, serving, repository, options.rounds)
        problems += runs.run(interleaved(points, options.repeats))
    for problem in problems:
        print(f"{program('sweep.py')}: not measured: {problem}", file=sys.stderr)
    print(f"{options.output / 'results.csv'}")
    keep_settings({**asked(options), "takes": str(taken)}, options.output)
    return 1 if problems else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command("sweep.py", sweep, lambda: parse(arguments))


if __name__ == "__main__":
    sys.exit(main())
