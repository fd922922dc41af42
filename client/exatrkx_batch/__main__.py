"""Batch command: the tracks of many files of events, found by a service and asked for by many workers.

exatrkx batch data/run7/*.parquet --url tracking.example.org:8001 --workers 4 --output out/run7
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from exatrkx.commands import at_least, command_parser, run_command
from exatrkx.events.columns import add_columns_argument, mapping_of
from exatrkx.files import check_outputs, whole_file
from exatrkx_batch.manifest import changed, freeze, settled
from exatrkx_batch.report import report
from exatrkx_batch.tasks import Task
from exatrkx_batch.workflow import CLUSTERS, FilesFailedError, dask_client, do_all
from exatrkx_client.arguments import (
    add_client_arguments,
    add_fallback_argument,
    check_client_arguments,
    client_of,
)
from exatrkx_client.errors import ServedModelError
from exatrkx_client.fallback import Fallback


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command("exatrkx_batch", lambda: batch(parse(arguments)))


def batch(options: argparse.Namespace) -> None:
    """Do what the command line asks for.

    Raises:
        FilesFailedError: files could not be done; all others are.
        ExatrkxError: inputs, output, service or scheduler are not as they should be; the text gives the reason.
    """
    began, folder, columns = time.monotonic(), options.output, mapping_of(options)
    files = freeze(options.events)
    with client_of(options, options.fall_back) as client:
        client.wait_until_ready(options.wait)
        client.check_contract()
        service = client.identity()
    if options.fall_back:
        require_same(service, Fallback(options.fall_back).identity(options.model))
    with settled(folder, files, service, columns):
        tasks = [Task(file, folder, options, service, columns) for file in files]
        artefacts = [path for task in tasks for path in (task.tracks_file, task.figures_file)]
        check_outputs([*artefacts, folder / "report.md"], [path for task in tasks for path in task.file.inputs])
        with dask_client(options) as workers:
            outcome = do_all(workers, tasks, options.wait)
        text = report(outcome.done, outcome.failed, service)
        with whole_file(folder / "report.md") as stream:
            stream.write(text.encode())
    seconds, new = time.monotonic() - began, len(outcome.done) - outcome.found
    print(f"{text}\nfiles:   {new} done in {seconds:.1f} s, {outcome.found} were there, {len(outcome.failed)} failed")
    if outcome.answered_by:
        print("answered:", ", ".join(f"{who} {events}" for who, events in outcome.answered_by.most_common()))
    print(f"written: {folder}")
    if outcome.failed:
        reasons = [f"{name}: {' '.join(why.split())}" for name, why in sorted(outcome.failed.items())]
        raise FilesFailedError("\n".join([f"{len(reasons)} of {len(files)} files failed", *reasons]))


def require_same(service: Mapping[str, str], fallback: Mapping[str, str]) -> None:
    """Raises ServedModelError where answers of a service and of its fallback would be those of different networks."""
    if told := changed(service, fallback):
        raise ServedModelError(f"--fall-back: the pipeline here is not the service's: {told}")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line's options; those that name files are absolute, for the workers."""
    parser = command_parser(
        "python -m exatrkx_batch",
        "Find the tracks of many files of events with the workers of Dask, a task a file. What is there "
        "and fits is not done again: the same command goes on where it was interrupted.",
        "exatrkx batch run7/*.parquet --url tracking.example.org:8001 --workers 4 --output out/run7",
        "exatrkx batch run7 --cluster slurm --workers 20 --output out/run7",
    )
    add = parser.add_argument
    add("events", nargs="+", help="files, folders or patterns, as `exatrkx find` reads them")
    add_columns_argument(parser)
    add("--output", type=Path, metavar="DIR", required=True, help="folder of this batch, for the workers, too")
    add_client_arguments(parser)
    add_fallback_argument(parser)
    add(
        "--in-flight", type=at_least(int, 1), default=4, help="most requests at once of a worker (default: %(default)s)"
    )
    add("--workers", type=at_least(int, 1), default=2, metavar="N", help="to start (default: %(default)s)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--cluster",
        choices=("local", *CLUSTERS),
        default="local",
        help="where to start them: on this machine, or as jobs, which ~/.config/dask/jobqueue.yaml describes",
    )
    where.add_argument(
        "--scheduler", metavar="ADDRESS", help="ask the workers of this Dask scheduler: tcp://…, tls://…, or its file"
    )
    add(
        "--wait",
        type=at_least(float, 0),
        default=10.0,
        metavar="S",
        help="seconds for service and scheduler to answer, and for the latter to have a worker (default: %(default)g)",
    )
    options = parser.parse_args(arguments)
    check_client_arguments(parser, options)
    for name, value in vars(options).items():
        if isinstance(value, Path):
            setattr(options, name, value.absolute())
    return options


if __name__ == "__main__":
    sys.exit(main())
