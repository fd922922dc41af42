"""What saved results say: each model at saturation and with one client, and the ratios between them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exatrkx.contract import CUSTOM, ENSEMBLE
from exatrkx_perf.median_range import MedianRange, ratio
from exatrkx_perf.points import COMPILED_ENSEMBLE, DIRECT, Configuration, Point

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exatrkx_perf.results import Result

ORDER: Final = (DIRECT, CUSTOM.name, COMPILED_ENSEMBLE, ENSEMBLE.name)
"""In which models are listed; others follow."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a plot, one row of a table: a model and what runs it."""

    model: str
    backends: str

    @property
    def served(self) -> bool:
        return self.model != DIRECT

    def __str__(self) -> str:
        return f"{self.model} [{self.backends}]"


@dataclass(frozen=True, slots=True)
class Repeats:
    """One point with all its repeats; `point.repeat` means nothing here."""

    point: Point
    results: tuple[Result, ...]

    @property
    def series(self) -> Series:
        return Series(self.point.model, self.point.backends)

    def values(self, figure: str) -> dict[int, float]:
        """A column of the results by repeat."""
        return {result.point.repeat: float(getattr(result.figures, figure)) for result in self.results}

    def median_range(self, figure: str) -> MedianRange | None:
        return MedianRange.of(self.values(figure).values())

    def median(self, figure: str) -> float:
        found = self.median_range(figure)
        return found.median if found else float("nan")


def gather(results: Iterable[Result]) -> list[Repeats]:
    """Bring the repeats of each point together. A row that is there twice counts once, the last one."""
    found: dict[Point, dict[int, Result]] = defaultdict(dict)
    for result in results:
        found[result.point.at_repeat(0)][result.point.repeat] = result
    return [Repeats(point, tuple(repeats.values())) for point, repeats in found.items()]


def plain(every: Iterable[Repeats]) -> list[Repeats]:
    """Those called in the way that models are compared by; see `Point.plain`."""
    return [one for one in every if one.point.plain]


def by_sample(every: Iterable[Repeats]) -> dict[str, list[Repeats]]:
    """The points of each sample of events, in the order in which they were measured."""
    found: dict[str, list[Repeats]] = {}
    for one in every:
        found.setdefault(one.point.sample, []).append(one)
    return found


def all_series(every: Iterable[Repeats]) -> list[Series]:
    """The series, sorted by `rank`."""
    return sorted({one.series for one in every}, key=rank)


def rank(series: Series) -> tuple[int, str, str]:
    """Sort key: the models in `ORDER`, then others by their name."""
    return (ORDER.index(series.model) if series.model in ORDER else len(ORDER), series.model, series.backends)


def configurations(every: Iterable[Repeats]) -> list[Configuration]:
    """Those in which a served model was measured, by threads and instances."""
    found = {one.point.configuration for one in every if one.point.served}
    return sorted(found, key=lambda configuration: (configuration.threads, configuration.instances))


def saturation(every: Sequence[Repeats], series: Series, configuration: Configuration | None = None) -> Repeats | None:
    """The point of the largest throughput, over all numbers of requests in flight; in any configuration if None."""
    candidates = [
        one
        for one in every
        if one.series == series and (configuration is None or one.point.configuration == configuration)
    ]
    return max(candidates, key=lambda one: one.median("events_per_s"), default=None)


def single_client(every: Sequence[Repeats], series: Series, threads: int) -> Repeats | None:
    """One request at a time, one instance of each model; of a server that is not ours, as it is."""
    return next((one for one in every if one.series == series and one.point.is_single_client(threads)), None)


def figure_ratio(above: Repeats | None, below: Repeats | None, figure: str) -> MedianRange | None:
    """The ratio of one figure of two points; None where one of them was not measured.

    Points of one configuration were measured in turn; see `exatrkx_perf.points.interleaved`.
    """
    if above is None or below is None:
        return None
    paired = above.point.configuration == below.point.configuration
    return ratio(above.values(figure), below.values(figure), paired=paired)


def pairs(series: Sequence[Series]) -> list[tuple[Series, Series]]:
    """Which series are compared with which: each with every one before it, direct first."""
    return [(above, below) for number, above in enumerate(series) for below in reversed(series[:number])]
