"""Where the time of a request goes, step by step: `python perf/breakdown.py [RESULTS…]`.

RESULTS are folders that perf/sweep.py or perf/compare.py wrote. For each measured point: queue, input, compute and
output of every step by Triton's own statistics, and what their sum leaves of the whole request unexplained.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from exatrkx.files import check_outputs
from exatrkx.run_settings import asked, keep_settings
from exatrkx_perf import OUTPUT
from exatrkx_perf.command_line import parser_of, positive, run_command
from exatrkx_perf.errors import ResultsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def breakdown(options: argparse.Namespace) -> int:
    """Print the table of the chosen points, and draw the plot."""
    from exatrkx_perf.results import steps_in  # noqa: PLC0415 - `--help` needs none of these
    from exatrkx_perf.tables import steps_text  # noqa: PLC0415

    if options.plot:
        check_outputs([options.plot], options.results)
    found = steps_in(options.results)
    wanted = {name: getattr(options, name) for name in ("concurrency", "instances", "threads")}
    chosen = [e for e in found if all(v in (None, getattr(e.point, name)) for name, v in wanted.items())]
    if not chosen:
        raise ResultsError(f"{', '.join(map(str, options.results))}: no step times of such points")
    print(steps_text(chosen))
    if options.plot:
        from exatrkx.reporting.plot_style import save, style  # noqa: PLC0415 - as above
        from exatrkx_perf.step_plot import step_plot  # noqa: PLC0415

        with style():
            save(step_plot(found, options.threads or 1), options.plot)
        keep_settings(asked(options, "plot"), options.plot)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = parser_of(__doc__, "exatrkx perf breakdown out/perf --plot steps.png")
    parser.add_argument("results", nargs="*", type=Path, default=[OUTPUT], help=f"default: {OUTPUT}")
    parser.add_argument("--concurrency", type=positive, help="only points with so many requests in flight")
    parser.add_argument("--instances", type=positive, help="only points with so many instances")
    parser.add_argument("--threads", type=positive, help="only points with so many threads in each process")
    parser.add_argument("--plot", type=Path, help="write the bars for one client to this file")
    return run_command("breakdown.py", breakdown, lambda: parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
