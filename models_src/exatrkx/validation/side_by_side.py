"""Finders side by side: by the field's other definitions, for named samples of particles, and where ours is below."""

from __future__ import annotations

from math import nan, sqrt
from statistics import NormalDist, fmean, stdev
from typing import TYPE_CHECKING, Final

from exatrkx.performance.intervals import standard_deviations_below
from exatrkx.performance.selection import LEAVES_A_TRACK, SELECTIONS
from exatrkx.reporting.markdown import markdown_table
from exatrkx.reporting.tables import FIELD_ROWS
from exatrkx.validation.binned import Quantity
from exatrkx.validation.finders import NETWORKS
from exatrkx.validation.tables import MATCHING_FIGURES, counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exatrkx.performance.intervals import Ratio
    from exatrkx.validation.evaluation import Evaluation

SIGNIFICANT: Final = 2.0
"""Standard deviations by which ours may be below another finder before a report says so."""


def definitions_table(evaluations: Sequence[Evaluation]) -> list[str]:
    """The same candidates by other definitions, with a column for each finder."""
    rows = [
        (title, *(counted(getattr(one.result.other_definitions, name)) for one in evaluations), meaning)
        for title, name, meaning in FIELD_ROWS
    ]
    scores = (mean_score(one.result.trackml) for one in evaluations)
    rows.append(("TrackML score", *scores, "weighted hits on double-majority tracks / all; mean of the events"))
    of_particles = (
        f"{_per_event(one, one.result.candidates)} / {_per_event(one, one.result.particles)}" for one in evaluations
    )
    meaning = f"candidates per event / particles that leave at least {LEAVES_A_TRACK} spacepoints"
    rows.append(("candidates", *of_particles, meaning))
    return markdown_table(("other definitions", *(one.finder.name for one in evaluations), "counts"), rows)


def _per_event(one: Evaluation, number: int) -> str:
    return f"{number / max(1, one.result.events):.0f}"


def mean_score(scores: Sequence[float]) -> str:
    """The mean and its 95 % interval by the spread between events; of one event the score alone."""
    if not scores:
        return "–"
    mean = fmean(scores)
    if len(scores) == 1:
        return f"{mean:.4f}"
    half = NormalDist().inv_cdf(0.975) * stdev(scores) / sqrt(len(scores))
    return f"{mean:.4f} [{mean - half:.4f}, {mean + half:.4f}]"


def named_samples_table(evaluations: Sequence[Evaluation]) -> list[str]:
    """Efficiency of each finder in each matching, and duplicates, for each named sample of particles."""
    rows = []
    for name, selection in SELECTIONS.items():
        for one in evaluations:
            tracks = one.result.samples[name]
            ratios = [getattr(tracks, figure) for figure in (*MATCHING_FIGURES.values(), "duplicate_rate")]
            rows.append((f"{name}, {one.finder.name}", *map(counted, ratios), str(selection)))
    return markdown_table(("sample of particles", *MATCHING_FIGURES, "duplicate rate", "which"), rows)


def below_lines(evaluations: Sequence[Evaluation]) -> list[str]:
    """For each other finder a line with every bin and named sample where our efficiency is significantly below.

    Args:
        evaluations: of one sample.
    """
    ours = next((one for one in evaluations if one.finder.name == NETWORKS), None)
    if ours is None:
        return []
    return [_below(ours, other) for other in evaluations if other is not ours]


def _below(ours: Evaluation, other: Evaluation) -> str:
    theirs = dict(_efficiencies(other))
    found = []
    for where, mine in _efficiencies(ours):
        its = theirs.get(where)
        deviation = standard_deviations_below(mine, its) if its else nan
        if its and deviation > SIGNIFICANT:
            found.append(f"{where} ({mine.value:.4f}, {its.value:.4f}: {deviation:.1f} σ)")
    name = other.finder.name
    if not found:
        return f"- In no bin is the efficiency more than {SIGNIFICANT:g} σ below that of {name}."
    return f"- Efficiency more than {SIGNIFICANT:g} σ below that of {name}: {'; '.join(found)}."


def _efficiencies(one: Evaluation) -> Iterator[tuple[str, Ratio]]:
    """What each efficiency is of, in words, and the efficiency."""
    for name, tracks in one.result.samples.items():
        yield from ((f"{name}, {matching}", getattr(tracks, figure)) for matching, figure in MATCHING_FIGURES.items())
    for (quantity, matching, axis), binned in one.result.binned.ratios.items():
        if quantity is Quantity.EFFICIENCY:
            for (low, high), ratio in zip(axis.bins, binned.ratios, strict=True):
                yield f"{axis.label} [{low:g}, {high:g}), {matching}", ratio
