"""Validation command, `python -m exatrkx.validate EVENTS…`: tracks of events with truth, and how good they are.

Several samples, each with a section of the report and a colour in the plots:

    python -m exatrkx.validate --sample "µ = 0" mu0.parquet --sample "µ = 40" mu40.parquet --plots plots

Beside the networks any tracks that were found in the same events, here the CKF's, with a file for each sample:

    python -m exatrkx.ckf --events 500 --seed 3 --tracks ckf.parquet
    python -m exatrkx.validate t0.parquet --tracks CKF ckf.parquet --output report.md --plots plots
"""

from __future__ import annotations

import argparse
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exatrkx.commands import command_parser, run_command
from exatrkx.contract import CUSTOM, ENSEMBLE
from exatrkx.events.readers import count_events, input_files, read_events
from exatrkx.files import check_outputs, with_appended, write_files
from exatrkx.fitting.settings import FitSettings, add_fit_arguments, fit_settings_of
from exatrkx.progress import bar
from exatrkx.run_settings import beside, told
from exatrkx.validation import validate
from exatrkx.validation.evaluation import Evaluation, Sample
from exatrkx.validation.finders import NETWORKS, Finder, Found, direct, saved
from exatrkx.validation.report import image_lines, markdown
from exatrkx.validation.settings import identity_of, settings_of
from exatrkx.validation.tables import table_text
from exatrkx.working_point import WEIGHTS_DIR

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from exatrkx.events.event import Event

TABLE_SUFFIX: Final = ".csv"
NO_FILE: Final = "-"

READY_S: Final = 10.0
"""How long a server may take to be ready."""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; what contradicts itself ends the program with a message."""
    parser = command_parser(
        "python -m exatrkx.validate",
        (__doc__ or "").partition("\n")[0],
        "exatrkx validate test.parquet --weights my_weights --output report.md --plots plots",
        "exatrkx validate --sample 'µ = 0' mu0.parquet --sample 'µ = 40' mu40.parquet",
        "exatrkx validate test.parquet --tracks CKF ckf.parquet",
    )
    add = parser.add_argument
    add("events", nargs="*", help="files of events with truth, in any format that is read")
    add(
        "--sample",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "EVENTS"),
        help="a sample with a section of its own: its name, then its files; a name that ends in µ = 40 tells the "
        "pile-up for the plots. May be given several times",
    )
    add(
        "--tracks",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "FILE"),
        help="evaluate saved tracks, too: what found them, then a file for each sample, in the samples' order, or "
        f"{NO_FILE} for a sample without. May be given several times",
    )
    add("--no-networks", action="store_true", help="evaluate the saved tracks alone")
    add("--weights", type=Path, help="folder of networks and working point (default: the committed ones)")
    add(
        "--working-point", type=Path, metavar="FILE", help="another one than the folder's, such as one for high pile-up"
    )
    add("--device", help="of the direct call (default: cpu)")
    add("--server", metavar="URL", help="take the tracks from this server; host:port, grpc://… or http://…")
    add("--model", help=f"of the server: {ENSEMBLE.name} (default), {CUSTOM.name}, or one with the same tensors")
    add("--output", type=Path, help="append the report to this Markdown file, and write its bins as CSV beside it")
    add(
        "--plots",
        type=Path,
        metavar="FOLDER",
        help="draw efficiencies and rates as PNG, which the report shows (needs mplhep)",
    )
    # Here, as in `served`: of the package, only this command calls the client.
    from exatrkx_client.credentials import add_credentials_arguments  # noqa: PLC0415

    add_credentials_arguments(parser)
    add_fit_arguments(parser)
    options = parser.parse_args(arguments)
    options.fit = fit_settings_of(parser, options)
    _require_sense(parser, options)
    return options


def _require_sense(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if not options.events and not options.sample:
        parser.error("no events: name files, or samples with --sample NAME EVENTS…")
    if any(not paths for _, *paths in options.sample):
        parser.error("--sample needs a name and then files: --sample 'µ = 40' mu40.parquet")
    names = [sample.name for sample in named_samples(options)]
    if len(set(names)) < len(names):
        parser.error(f"samples must have different names, found {', '.join(names)}")
    _require_sense_of_tracks(parser, options, names)
    if options.server and _of_direct_call(options):
        parser.error("--weights, --working-point and --device are of the direct call: a server has its own")
    if options.model and not options.server:
        parser.error("--model is of a server: name it with --server URL")
    if options.output and options.output.suffix == TABLE_SUFFIX:
        parser.error(f"--output is the Markdown report; its bins go to the {TABLE_SUFFIX} file of the same name")


def _of_direct_call(options: argparse.Namespace) -> bool:
    return bool(options.weights or options.device or options.working_point)


def _require_sense_of_tracks(
    parser: argparse.ArgumentParser, options: argparse.Namespace, samples: Sequence[str]
) -> None:
    for name, *files in options.tracks:
        if len(files) != len(samples):
            parser.error(
                f"--tracks {name}: expected a file for each of {len(samples)} samples ({', '.join(samples)}), or "
                f"{NO_FILE} for one without, found {len(files)}"
            )
    names = [*([] if options.no_networks else [NETWORKS]), *(name for name, *_ in options.tracks)]
    if len(set(names)) < len(names):
        parser.error(f"finders must have different names, found {', '.join(names)}")
    if options.no_networks and all(file == NO_FILE for _, *files in options.tracks for file in files):
        parser.error("--no-networks leaves nothing to evaluate: name tracks with --tracks NAME FILE")
    if options.no_networks and (options.server or _of_direct_call(options)):
        parser.error(
            "--server, --weights, --working-point and --device are of the networks, which --no-networks leaves out"
        )


def named_samples(options: argparse.Namespace) -> list[Sample]:
    """The samples in the order in which they were named; files without a name have those of the files."""
    unnamed = [Sample(", ".join(Path(path).name for path in options.events), tuple(options.events))]
    return (unnamed if options.events else []) + [Sample(name, tuple(paths)) for name, *paths in options.sample]


def networks_of(options: argparse.Namespace) -> AbstractContextManager[Finder | None]:
    """What the networks are called by: a server, the pipeline in this process, or nothing."""
    if options.no_networks:
        return nullcontext(None)
    if options.server:
        return served(options.server, options.model or ENSEMBLE.name, options)
    from exatrkx.pipeline import Pipeline  # noqa: PLC0415 - evaluating other tracks needs none

    networks = options.weights or WEIGHTS_DIR
    pipeline = Pipeline.from_weights(networks, options.device or "cpu", options.working_point)
    return nullcontext(replace(direct(pipeline), identity=identity_of(pipeline)))


@contextmanager
def served(url: str, model: str, options: argparse.Namespace | None = None) -> Iterator[Finder]:
    """A model of a running server; the connection is closed at the end of the `with`.

    Raises:
        ValueError: `url` is no address.
        ExatrkxError: the server is not ready, or has no such model with the pipeline's tensors.
    """
    # Here, because only this needs tritonclient. The client builds on the package; of the package, only this command
    # calls the client.
    from exatrkx_client import Credentials, TrackingClient  # noqa: PLC0415

    with TrackingClient(url, model, credentials=Credentials.from_environment(options)) as client:
        client.wait_until_ready(READY_S)
        client.check_contract()

        def find(event: Event) -> Found:
            _, answer = next(client.find_tracks_many([event], in_flight=1))
            return Found(labels=answer.labels, seconds=answer.seconds)

        origin = f"server {client.address}, model {model}"
        yield Finder(find, origin, "request to decoded answer, one at a time", identity=client.identity())


def evaluate(options: argparse.Namespace) -> str:
    """Do what the options ask for. Returns the report, and below it the settings.

    Raises:
        ExatrkxError, OSError, ValueError: events, networks, server, tracks or outputs are not as they should be.
    """
    if options.plots:
        # Here, because matplotlib takes a while; first, because a missing mplhep is better known before the wait.
        from exatrkx.reporting.plot_style import settings  # noqa: PLC0415

        settings()
    if options.output and not options.output.parent.is_dir():
        raise FileNotFoundError(f"{options.output}: no such folder")
    if options.output:
        check_outputs([options.output, options.output.with_suffix(TABLE_SUFFIX)], inputs_of(options))
    evaluations = evaluate_all(options)
    report = markdown(evaluations, _drawn(evaluations, options))
    decided = settings_of(evaluations, named_samples(options), options.tracks)
    if options.output:
        table = {options.output.with_suffix(TABLE_SUFFIX): table_text(evaluations).encode()}
        write_files({**table, **with_appended(options.output, report), **beside(decided, options.output)})
    return f"{report}\n{told(decided)}"


def inputs_of(options: argparse.Namespace) -> list[Path]:
    """The files that are going to be read: events, tracks, networks.

    Raises:
        EventFormatError: files of events are not there.
    """
    events = [file for sample in named_samples(options) for file in input_files(sample.paths)]
    tracks = [Path(file) for _, *files in options.tracks for file in files if file != NO_FILE]
    return [*events, *tracks, *(path for path in (options.weights, options.working_point) if path and path.exists())]


def evaluate_all(options: argparse.Namespace) -> list[Evaluation]:
    """Every finder in every sample, in the order of the samples, the networks first.

    Raises:
        ExatrkxError, OSError, ValueError: events, networks, server or tracks are not as they should be.
    """
    samples = named_samples(options)
    totals = {sample: count_events(sample.paths) for sample in samples}  # a missing file is told before the wait, too
    evaluations: dict[tuple[Sample, str], Evaluation] = {}
    with networks_of(options) as networks:
        # Saved tracks first: they take no time, and those of other events are better known before the wait.
        for name, *files in options.tracks:
            for sample, file in zip(samples, files, strict=True):
                if file != NO_FILE:
                    with saved(name, Path(file)) as finder:
                        evaluations[sample, name] = evaluate_one(finder, sample, totals[sample], options.fit)
        if networks is not None:
            evaluations |= {
                (sample, NETWORKS): evaluate_one(networks, sample, totals[sample], options.fit) for sample in samples
            }
    order = (NETWORKS, *(name for name, *_ in options.tracks))
    return [evaluations[sample, name] for sample in samples for name in order if (sample, name) in evaluations]


def evaluate_one(finder: Finder, sample: Sample, total: int, fit: FitSettings) -> Evaluation:
    """One finder in one sample of so many events; the cost is that of the first event that has spacepoints.

    Raises:
        ExatrkxError, ValueError: as `exatrkx.validation.validate`.
    """
    progress = bar(read_events(sample.paths), total=total, desc=f"{sample.name}, {finder.name}")
    result = validate(finder, progress, fit=fit)
    example = next((event for event in read_events(sample.paths) if len(event)), None) if finder.cost else None
    cost = finder.cost(example) if finder.cost and example else ()
    return Evaluation(sample=sample, finder=finder, result=result, cost=cost)


def _drawn(evaluations: Sequence[Evaluation], options: argparse.Namespace) -> dict[str, str]:
    """Draw the plots if they are asked for. Returns the lines of the report that show them."""
    if not options.plots:
        return {}
    from exatrkx.validation.plots import captions, write_plots  # noqa: PLC0415 - matplotlib takes a while

    folder = options.output.parent if options.output else Path()
    return image_lines(write_plots(evaluations, options.plots), captions(evaluations), folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command("validate", lambda: print(evaluate(parse(arguments))))


if __name__ == "__main__":
    raise SystemExit(main())
