"""Tables of a validation: Markdown for the report, and CSV of every bin of each curve of each finder in each sample."""

from __future__ import annotations

import csv
import io
from math import isnan
from typing import TYPE_CHECKING, Final

from exatrkx.reporting.markdown import markdown_table
from exatrkx.reporting.tables import TRACK_ROWS, track_table, with_interval
from exatrkx.validation.binned import MATCHINGS
from exatrkx.validation.evaluation import finders_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exatrkx.performance.intervals import Ratio
    from exatrkx.validation.binned import Axis, Quantity
    from exatrkx.validation.cost import NetworkCost
    from exatrkx.validation.evaluation import Evaluation

TITLES: Final = {name: title for title, name, _ in TRACK_ROWS}
MATCHING_FIGURES: Final = {
    "double majority": "efficiency_double_majority",
    "LHC": "efficiency_lhc",
    "perfect": "efficiency_perfect",
}
"""The matchings by the names that people read, and the fields of their efficiencies."""

SAMPLE_FIGURES: Final = (
    *MATCHING_FIGURES.values(),
    *("fake_rate", "duplicate_rate"),
)
"""The figures that are shown against µ."""

COST_COLUMN: Final = ("MACs per spacepoint",)


def summary_table(evaluations: Sequence[Evaluation]) -> list[str]:
    """A row for each finder in each sample."""
    rows = []
    with_cost = any(one.cost for one in evaluations)
    for one in evaluations:
        tracks, events = one.result.tracks, max(1, one.result.events)
        ratios = (tracks.efficiency_double_majority, tracks.fake_rate, tracks.duplicate_rate)
        figures = (*map(with_interval, ratios), f"{one.result.spacepoints / events:.0f}", milliseconds(one))
        cost = (f"{per_spacepoint(one.cost):,.0f}" if one.cost else "–",) if with_cost else ()
        rows.append((one.sample.name, one.finder.name, str(one.result.events), *figures, *cost))
    columns = ("efficiency, double majority", "fake rate", "duplicate rate", "spacepoints per event", "ms per event")
    return markdown_table(("sample", "finder", "events", *columns, *(COST_COLUMN if with_cost else ())), rows)


def pileup_table(evaluations: Sequence[Evaluation]) -> list[str]:
    """A row for each finder at each µ, by rising µ; nothing unless every sample's name tells it."""
    known = [(one.sample.pileup, one) for one in evaluations if one.sample.pileup is not None]
    if len(known) < len(evaluations):
        return []
    finders = finders_of(evaluations)
    known.sort(key=lambda pair: (finders.index(pair[1].finder.name), pair[0]))
    rows = [
        (one.finder.name, f"{pileup:g}", *(counted(getattr(one.result.tracks, name)) for name in SAMPLE_FIGURES))
        for pileup, one in known
    ]
    return markdown_table(("finder", "µ", *(TITLES[name] for name in SAMPLE_FIGURES)), rows)


def stage_table(evaluations: Sequence[Evaluation]) -> list[str]:
    """The graph after each stage, of finders that show one; nothing at all if none does."""
    rows = []
    for one in evaluations:
        for name, stage in one.result.stages.items():
            if stage.count:
                edges = f"{stage.count / max(1, one.result.events):.0f}"
                rows.append((name, with_interval(stage.edges.efficiency), with_interval(stage.edges.purity), edges))
    return markdown_table(("graph after", "edge efficiency", "purity", "edges per event"), rows) if rows else []


def tracks_table(evaluations: Sequence[Evaluation]) -> list[str]:
    """The figures of the track candidates: of one finder, or of several with a column each."""
    if len(evaluations) == 1:
        return track_table(evaluations[0].result.tracks)
    rows = [
        (title, *(counted(getattr(one.result.tracks, name)) for one in evaluations), meaning)
        for title, name, meaning in TRACK_ROWS
    ]
    return markdown_table(("tracks", *(one.finder.name for one in evaluations), "matched when, or counted what"), rows)


def kinds_table(evaluations: Sequence[Evaluation]) -> list[str]:
    """Efficiency of each kind of particle in each matching."""
    rows = [
        (kind if len(evaluations) == 1 else f"{kind}, {one.finder.name}", *(counted(found[name]) for name in MATCHINGS))
        for one in evaluations
        for kind, found in one.result.kinds.items()
    ]
    return markdown_table(("efficiency of", *MATCHINGS), rows)


def binned_table(evaluations: Sequence[Evaluation], quantities: Sequence[Quantity], axis: Axis) -> list[str]:
    """A row for each bin in which something was counted; nothing at all if there is none."""
    columns = {}
    for quantity in quantities:
        of_each = [one.result.binned.kinds(quantity, axis) for one in evaluations]
        for kind in dict.fromkeys(kind for kinds in of_each for kind in kinds):
            for one, kinds in zip(evaluations, of_each, strict=True):
                if kind in kinds:
                    title = kind or str(quantity)
                    columns[title if len(evaluations) == 1 else f"{title}, {one.finder.name}"] = kinds[kind]
    rows = []
    for place, (low, high) in enumerate(axis.bins):
        ratios = [binned.ratios[place] for binned in columns.values()]
        if any(ratio.denominator for ratio in ratios):
            rows.append((f"[{low:g}, {high:g})", *map(counted, ratios)))
    return markdown_table((axis.label, *columns), rows) if rows else []


def cost_table(costs: Sequence[NetworkCost]) -> list[str]:
    """What each network costs, and all together; nothing at all if that is not known."""
    if not costs:
        return []
    rows = [
        (
            one.name,
            f"{one.weights:,}",
            f"{one.weight_bytes:,}",
            f"{one.per_spacepoint:,.0f}",
            "–" if one.per_edge is None else f"{one.per_edge:,.0f}",
            "–" if one.per_edge is None else f"{one.edges:,}",
            _millions(one.event),
            f"{per_spacepoint([one]):,.0f}",
            _millions(one.rest),
        )
        for one in costs
    ]
    event = sum(one.event for one in costs)
    numbers = (f"{sum(one.weights for one in costs):,}", f"{sum(one.weight_bytes for one in costs):,}")
    rest = sum(one.rest for one in costs)
    rows.append(("all", *numbers, "", "", "", _millions(event), f"{per_spacepoint(costs):,.0f}", _millions(rest)))
    marginal = ("a spacepoint costs", "an edge costs")
    whole = ("edges of the event", "the event costs, in millions", "for each of its spacepoints", "rest, in millions")
    return markdown_table(("network", "weights", "bytes", *marginal, *whole), rows)


def per_spacepoint(costs: Sequence[NetworkCost]) -> float:
    """MACs of the networks together in their event, for each of its spacepoints."""
    return sum(one.event for one in costs) / max(1, costs[0].spacepoints)


def milliseconds(one: Evaluation) -> str:
    """The median time of an event, where it is known."""
    return "–" if isnan(one.result.median_ms) else f"{one.result.median_ms:.1f}"


def counted(ratio: Ratio) -> str:
    """A fraction, its 95 % interval, and what was counted."""
    value = with_interval(ratio)
    return f"{value} ({ratio.numerator} / {ratio.denominator})" if ratio.denominator else value


def _millions(number: float) -> str:
    return f"{number / 1e6:,.1f}"


CSV_COLUMNS: Final = (
    "sample",
    "finder",
    "quantity",
    "matching_or_stage",
    "variable",
    "unit",
    "low",
    "high",
    "numerator",
    "denominator",
)


def table_text(evaluations: Sequence[Evaluation]) -> str:
    """The counts of each finder in each sample as CSV, those of empty bins too."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for one in evaluations:
        for (quantity, kind, axis), counted in one.result.binned.ratios.items():
            for (low, high), ratio in zip(axis.bins, counted.ratios, strict=True):
                counts = (ratio.numerator, ratio.denominator)
                whose = (one.sample.name, one.finder.name)
                writer.writerow((*whose, quantity, kind, axis.name, axis.unit, low, high, *counts))
    return text.getvalue()
