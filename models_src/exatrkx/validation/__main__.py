"""Validation command, `python -m exatrkx.validate EVENTS…`: tracks of events with truth, and how good they are.

Several samples, each with a section of the report and a colour in the plots:

    python -m exatrkx.validate --sample "µ = 0" mu0.parquet --sample "µ = 40" mu40.parquet --plots plots

Beside the networks any tracks that were found in the same events, here the CKF's, with a file for each sample:

    python -m exatrkx.ckf --events 500 --seed 3 --tracks ckf.parquet
    python -m exatrkx.validate t0.parquet --tracks CKF ckf.parquet --output report.md --plots plots
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tqdm import tqdm

from exatrkx.commands import needs_extra, run_command
from exatrkx.contract import ENSEMBLE
from exatrkx.errors import ExatrkxError
from exatrkx.events.readers import count_events, read_events
from exatrkx.validation import validate
from exatrkx.validation.arguments import NO_FILE, TABLE_SUFFIX, named_samples, parse
from exatrkx.validation.evaluation import Evaluation, Sample
from exatrkx.validation.finders import NETWORKS, Finder, Found, direct, saved
from exatrkx.validation.report import image_lines, markdown
from exatrkx.validation.tables import write_table
from exatrkx.working_point import WEIGHTS_DIR

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from exatrkx.events.event import Event

READY_S: Final = 10.0
"""How long a server may take to be ready."""


def networks_of(options: argparse.Namespace) -> AbstractContextManager[Finder | None]:
    """What the networks are called by: a server, the pipeline in this process, or nothing."""
    if options.no_networks:
        return nullcontext(None)
    if options.server:
        return served(options.server, options.model or ENSEMBLE.name)
    with needs_extra("torch"):  # evaluating other tracks needs none
        from exatrkx.pipeline import Pipeline  # noqa: PLC0415

    networks = options.weights or WEIGHTS_DIR
    return nullcontext(direct(Pipeline.from_weights(networks, options.device or "cpu", options.working_point)))


@contextmanager
def served(url: str, model: str) -> Iterator[Finder]:
    """A model of a running server; the connection is closed at the end of the `with`.

    Raises:
        ValueError: `url` is no address.
        ExatrkxError: the server is not ready, or has no such model with the pipeline's tensors.
    """
    # Here, because only this needs tritonclient. The client builds on the package; of the package, only this command
    # calls the client.
    from exatrkx_client import TrackingClient  # noqa: PLC0415

    with TrackingClient(url, model) as client:
        client.wait_until_ready(READY_S)
        client.check_contract()

        def find(event: Event) -> Found:
            _, answer = next(client.find_tracks_many([event], in_flight=1))
            return Found(labels=answer.labels, seconds=answer.seconds)

        yield Finder(find, f"server {client.address}, model {model}", "request to decoded answer, one at a time")


def evaluate(options: argparse.Namespace) -> str:
    """Do what the options ask for. Returns the report.

    Raises:
        ExatrkxError, OSError, ValueError: events, networks, server, tracks or outputs are not as they should be.
    """
    if options.plots:
        # Here, because matplotlib takes a while; first, because a missing mplhep is better known before the wait.
        from exatrkx.reporting.plot_style import settings  # noqa: PLC0415

        settings()
    if options.output and not options.output.parent.is_dir():
        raise FileNotFoundError(f"{options.output}: no such folder")
    evaluations = evaluate_all(options)
    report = markdown(evaluations, _drawn(evaluations, options))
    if options.output:
        with options.output.open("a", encoding="utf-8") as file:
            file.write(report)
        write_table(options.output.with_suffix(TABLE_SUFFIX), evaluations)
    return report


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
                        evaluations[sample, name] = evaluate_one(finder, sample, totals[sample])
        if networks is not None:
            evaluations |= {(sample, NETWORKS): evaluate_one(networks, sample, totals[sample]) for sample in samples}
    order = (NETWORKS, *(name for name, *_ in options.tracks))
    return [evaluations[sample, name] for sample in samples for name in order if (sample, name) in evaluations]


def evaluate_one(finder: Finder, sample: Sample, total: int) -> Evaluation:
    """One finder in one sample of so many events; the cost is that of the first event that has spacepoints.

    Raises:
        ExatrkxError, ValueError: as `exatrkx.validation.validate`.
    """
    progress = tqdm(read_events(sample.paths), total=total, unit="event", desc=f"{sample.name}, {finder.name}")
    result = validate(finder, progress)
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
    options = parse((__doc__ or "").partition("\n")[0], arguments)
    return run_command("validate", lambda: print(evaluate(options)), (ExatrkxError, OSError, ValueError))


if __name__ == "__main__":
    raise SystemExit(main())
