"""The pipeline as a function call, without a server: `python perf/direct.py`.

Throughput with 1 to 16 workers, each a process with a pipeline of its own or a Python thread that shares one, and the
time of a single event. perf/sweep.py measures the same among the served models; this is for a quick look.
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from exatrkx_perf.command_line import add_event_arguments, list_of, parser_of, positive, run_command
from exatrkx_perf.events import features_of_repository, read_sample
from exatrkx_server.repository import default_repository

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

KINDS = ("processes", "threads")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; see `--help`."""
    parser = parser_of(__doc__, "exatrkx perf direct --workers 1,2 --threads 1")
    add = parser.add_argument
    add_event_arguments(parser)
    add("--workers", type=list_of(positive), default=(1, 2, 4, 8, 16), help="default: 1,2,4,8,16")
    add("--kind", type=list_of(str, KINDS), default=("processes",), help="processes, threads (default: processes)")
    add("--threads", type=list_of(positive), default=(1,), help="computing threads of each process (default: 1)")
    add("--rounds", type=positive, default=3, help="over all events (default: %(default)s)")
    add("--model-repository", type=Path, help="default: that of this project")
    return parser.parse_args(arguments)


def direct(options: argparse.Namespace) -> int:
    """Print a line for each number of workers."""
    from exatrkx_perf.direct import run_direct  # noqa: PLC0415 - `--help` does not need it

    repository = options.model_repository or default_repository()
    taken = features_of_repository(repository)
    sample = read_sample(options.events, options.limit, options.spacepoints, taken)
    print(f"{len(sample)} events of {sample.spacepoints.mean():,.0f} spacepoints on average")
    print(f"{'workers':>18}{'threads':>9}{'events/s':>10}{'mean ms':>9}{'p99 ms':>9}{'CPU ms':>9}{'MiB':>8}")
    for kind, threads, workers in product(options.kind, options.threads, options.workers):
        events = options.rounds * len(sample)
        found, _ = run_direct(sample, repository, events=events, kind=kind, workers=workers, threads=threads)
        print(
            f"{workers:>8} {kind:<9}{threads:>9}{found.events_per_s:>10.1f}{found.mean_ms:>9.1f}"
            f"{found.p99_ms:>9.1f}{found.cpu_ms_per_event:>9.1f}{found.rss_mib:>8.0f}",
            flush=True,
        )
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command("direct.py", direct, lambda: parse(arguments))


if __name__ == "__main__":
    sys.exit(main())
