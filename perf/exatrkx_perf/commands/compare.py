"""Compare what was measured: `python perf/compare.py [RESULTS…]`; ratios with their median and range, and plots.

RESULTS are folders that perf/sweep.py wrote, or `results.csv` files. A server that is running already, with your own
backend, is measured and put beside them with --url and --model:

    python perf/compare.py out/perf --url 127.0.0.1:8001 --model my_pipeline
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exatrkx.commands import at_least
from exatrkx.files import check_outputs, write_files
from exatrkx.run_settings import asked, keep_settings
from exatrkx_client.credentials import Credentials, add_credentials_arguments
from exatrkx_perf import EVENTS, OUTPUT
from exatrkx_perf.command_line import (
    list_of,
    parser_of,
    positive,
    run_command,
    server_address,
    size_range,
)
from exatrkx_perf.errors import MeasurementError
from exatrkx_perf.events import features_of_server, read_sample, write_input_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_LARGEST_PID: Final = 1 << 22  # of Linux


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; see `--help`."""
    parser = parser_of(__doc__, "exatrkx perf compare out/perf --output out/comparison")
    add = parser.add_argument
    add("results", nargs="*", type=Path, help=f"folders or files of results (default: {OUTPUT})")
    add("--output", type=Path, help="folder of comparison.md and the plots (default: the first of RESULTS)")
    add("--no-plots", action="store_true")
    add("--plot-format", choices=("png", "svg", "pdf"), default="png", help="default: %(default)s")
    existing = parser.add_argument_group("a server that is running already").add_argument
    existing("--url", type=server_address, help="host:port, grpc://… or http://…; port 8000 speaks HTTP")
    existing("--model", type=list_of(str), help="its models, measured in turn: A or A,B")
    existing("--events", nargs="+", default=[EVENTS], help="what is sent (default: the bundled tt̄ events)")
    existing("--spacepoints", type=size_range, metavar="LOW:HIGH", help="only events of this size")
    existing("--concurrency", type=list_of(positive), default=(1, 2, 4, 8), help="default: 1,2,4,8")
    existing("--repeats", type=positive, default=3, help="default: %(default)s")
    existing(
        "--pid",
        type=at_least(int, 1, _LARGEST_PID),
        help="the server's process on this machine: its CPU time and memory are measured too",
    )
    existing("--save", type=Path, default=OUTPUT / "existing", help="folder of what is measured (default: %(default)s)")
    add_credentials_arguments(parser)
    options = parser.parse_args(arguments)
    if bool(options.url) != bool(options.model):
        parser.error("--url and --model belong together")
    if not options.results and not options.url:
        options.results = [OUTPUT]
    return options


def measure(options: argparse.Namespace) -> None:
    """Measure the running server into the folder --save, with the next free repeats.

    Raises:
        MeasurementError: a point could not be measured.
    """
    from exatrkx_perf.results import ResultsFolder  # noqa: PLC0415 - `--help` needs none of these
    from exatrkx_perf.sweeps import RunningServer, Sweep  # noqa: PLC0415

    server = RunningServer(options.url, options.pid, Credentials.from_environment(options))
    taken = features_of_server(options.url, options.model, server.credentials)
    sample = read_sample(options.events, size=options.spacepoints, taken=taken)
    input_file = options.save / "events.json"
    write_input_file(sample, input_file)
    points = server.points(options.model, options.concurrency, sample.name)
    first = 1 + max((one.point.repeat for one in ResultsFolder(options.save).results), default=-1)
    repeats = range(first, first + options.repeats)
    most = max(options.concurrency)
    sweep = Sweep(sample, options.save, lambda model, _: server.serve(model, most, sample, input_file))
    if problems := sweep.run([point.at_repeat(repeat) for repeat in repeats for point in points]):
        raise MeasurementError("\n".join(problems))
    options.results.append(options.save)


def compare(options: argparse.Namespace) -> int:
    """Measure what is asked for, and compare all there is."""
    from exatrkx_perf.results import results_in, steps_in  # noqa: PLC0415 - `--help` needs none of these
    from exatrkx_perf.tables import comparison_text  # noqa: PLC0415

    first = options.results[0] if options.results else options.save
    folder = options.output or (first if first.is_dir() or not first.exists() else first.parent)
    report = folder / "comparison.md"
    check_outputs([report], [path for path in options.results if path.is_file()])
    if options.url:
        measure(options)
    results = results_in(options.results)
    text = comparison_text(results)
    print(text)
    write_files({report: f"# Comparison\n\n{text}\n".encode()})
    written = []
    if not options.no_plots:
        from exatrkx_perf.plots import write_plots  # noqa: PLC0415 - as above

        written = write_plots(results, steps_in(options.results), folder, options.plot_format)
    print("\n" + "\n".join(map(str, [report, *written])))
    keep_settings(asked(options), report)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command("compare.py", compare, lambda: parse(arguments))


if __name__ == "__main__":
    sys.exit(main())
