"""Plot of the served models beside the custom backend, for events of several samples, as of different pile-up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from matplotlib.ticker import NullLocator

from exatrkx.contract import CUSTOM
from exatrkx.reporting.plot_style import headline, new_figure
from exatrkx_perf.comparison import all_series, by_sample, figure_ratio, plain, saturation, single_client
from exatrkx_perf.errors import ResultsError
from exatrkx_perf.series_look import draw_ranges, look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from exatrkx_perf.comparison import Repeats, Series

_PANELS: Final = {"events_per_s": "throughput at saturation", "mean_ms": "time that one client waits"}


def sample_plot(every: Sequence[Repeats]) -> Figure:
    """Ratios to the custom backend, sample by sample.

    Raises:
        ResultsError: there is one sample, or nothing to compare with.
    """
    samples = by_sample(plain(every))
    served = [one for one in all_series(plain(every)) if one.served]
    custom = next((one for one in served if one.model == CUSTOM.name), None)
    if len(samples) < 2 or custom is None or len(served) < 2:  # noqa: PLR2004 - nothing beside it
        raise ResultsError("one sample, or none of the custom backend and another model")
    others = [one for one in served if one != custom]
    figure, axes = new_figure(10.0, 4.4, 1, 2)
    for panel, (name, title) in zip(axes.flat, _PANELS.items(), strict=True):
        for place, series in enumerate(others):
            shift = 0.12 * (place - (len(others) - 1) / 2)
            ratios = [figure_ratio(_point(m, series, name), _point(m, custom, name), name) for m in samples.values()]
            draw_ranges(
                panel,
                [(number + shift, value) for number, value in enumerate(ratios)],
                linestyle="",
                **look(series, others),
            )
        panel.axhline(1.0, color="0.6", linewidth=1.0)
        panel.set_xticks(range(len(samples)), [_named(name, members) for name, members in samples.items()])
        panel.set_xlim(-0.5, len(samples) - 0.5)
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_ylim(0.0, 1.1 * max(1.0, panel.get_ylim()[1]))
        panel.set_xlabel("events, and their mean number of spacepoints")
        panel.grid(axis="y")
        headline(panel, title)
    axes[0, 0].set_ylabel("ratio to the custom backend")
    axes[0, 0].legend(loc="lower left")
    return figure


def _point(every: Sequence[Repeats], series: Series, figure: str) -> Repeats | None:
    return saturation(every, series) if figure == "events_per_s" else single_client(every, series, 1)


def _named(sample: str, members: Sequence[Repeats]) -> str:
    return f"{sample.partition('.')[0]}\n{members[0].results[0].metadata.spacepoints_mean:,.0f}"
