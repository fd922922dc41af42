"""Report of a validation as Markdown: what was run, each stage's graph, the tracks, all with 95 % intervals."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from exatrkx.reporting.tables import code_line, particles_line
from exatrkx.validation.binned import DISTANCE, ETA, PT, RADIUS, VERTEX_Z, Quantity
from exatrkx.validation.evaluation import samples_of
from exatrkx.validation.fits import fits_table
from exatrkx.validation.side_by_side import below_lines, definitions_table, named_samples_table
from exatrkx.validation.tables import (
    binned_table,
    cost_table,
    kinds_table,
    milliseconds,
    pileup_table,
    stage_table,
    summary_table,
    tracks_table,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exatrkx.validation.evaluation import Evaluation, Sample

SAMPLES: Final = "samples"
"""The plot of efficiencies, rates and time against pile-up or sample."""

RATES: Final = "rates_eta"
"""The plot of fake and duplicate rate by η."""


BINNED_TABLES: Final = (
    (
        "Track efficiency",
        (Quantity.EFFICIENCY,),
        {
            PT: "efficiency_pt",
            ETA: "efficiency_eta",
            RADIUS: "efficiency_radius",
            VERTEX_Z: "efficiency_vertex_z",
            DISTANCE: "efficiency_distance",
        },
    ),
    (
        "Edge efficiency after each stage",
        (Quantity.EDGE_EFFICIENCY,),
        {PT: "edge_efficiency_pt", ETA: "edge_efficiency_eta"},
    ),
    ("Duplicate rate", (Quantity.DUPLICATE_RATE,), {PT: "", RADIUS: "", VERTEX_Z: "", DISTANCE: ""}),
    (
        "Fake rate by the mean η of the candidate's spacepoints, duplicate rate by the particle's η",
        (Quantity.FAKE_RATE, Quantity.DUPLICATE_RATE),
        {ETA: RATES},
    ),
)
"""Title, quantities side by side, and the variables of a table each, with the plot that shows the same, if any."""

CAUSES: Final = (
    "What keeps the found particles of {} from being perfect; spacepoints too few or too many. A stage lost what is "
    "too few if its graph is the first without an edge from there to the rest of the track:"
)

FIT: Final = (
    "Fitted − true of tracks that match one of these particles by double majority, without electrons, where they are "
    "closest to the beam line (x = {x:g}, y = {y:g} mm) in {field:g} T; widths are half of the central 68 %:"
)

COST: Final = (
    "Cost of the networks in MACs of matrix products alone, counted in one event of {:,} spacepoints. A "
    "spacepoint or an edge costs what one more takes; the rest of the event is what depends on neither alone."
)


def markdown(evaluations: Sequence[Evaluation], images: Mapping[str, str] | None = None) -> str:
    """The whole report: for several samples their summary and what they show together, then a section for each.

    Args:
        evaluations: each finder in each sample, those of one sample after those of another.
        images: lines of Markdown that show a plot, by the name of the plot.
    """
    images = images or {}
    samples = samples_of(evaluations)
    if len(samples) == 1:
        lines = _summary(evaluations) if len(evaluations) > 1 else []
        return "\n".join([*lines, *_section(samples[0], evaluations, images)]) + "\n"
    lines = [*_summary(evaluations), *_together(evaluations, images)]
    for sample in samples:
        mine = [one for one in evaluations if one.sample == sample]
        lines += [f"## {sample.name}", "", *_section(sample, mine, {})]
    return "\n".join(lines) + "\n"


def _summary(evaluations: Sequence[Evaluation]) -> list[str]:
    timing = {one.finder.name: one.finder.timing for one in evaluations}
    times = "; ".join(f"{name}, {meaning}" for name, meaning in timing.items())
    return [*summary_table(evaluations), "", f"Times: median; {times}.", ""]


def _together(evaluations: Sequence[Evaluation], images: Mapping[str, str]) -> list[str]:
    """What has all samples in it: the table against µ, and the plots."""
    against = pileup_table(evaluations)
    lines = ["## Against µ", "", "Value [95 % interval] (counted)", "", *against, ""] if against else []
    if SAMPLES in images:
        lines += [images[SAMPLES], ""] if against else ["## All samples", "", images[SAMPLES], ""]
    binned = [line for name, image in images.items() if name != SAMPLES for line in (image, "")]
    return [*lines, *(["## In bins, all samples", "", *binned] if binned else [])]


def _section(sample: Sample, evaluations: Sequence[Evaluation], images: Mapping[str, str]) -> list[str]:
    """What was run and all tables of one sample, and its plots beside them."""
    result = evaluations[0].result
    lines = [
        f"- Events: {result.events} ({', '.join(Path(path).name for path in sample.paths)}), "
        f"{result.spacepoints / max(1, result.events):.0f} spacepoints each",
        particles_line(result.selection),
        *(_finder_line(one) for one in evaluations),
        code_line(),
        "",
    ]
    lines += [*_titled("", stage_table(evaluations)), *tracks_table(evaluations), ""]
    lines += [*definitions_table(evaluations), "", *kinds_table(evaluations), "", *named_samples_table(evaluations), ""]
    lines += _titled("", below_lines(evaluations))
    lines += _titled(_fit_title(evaluations), fits_table(evaluations))
    for one in evaluations:
        lines += _titled(CAUSES.format(one.finder.name), one.result.causes.table())
    for cost in (one.cost for one in evaluations if one.cost):
        lines += _titled(COST.format(cost[0].spacepoints), cost_table(cost))
    for title, quantities, plots in BINNED_TABLES:
        for axis, plot in plots.items():
            binned = binned_table(evaluations, quantities, axis)
            lines += _titled(f"{title}: value [95 % interval] (counted)", binned)
            lines += [images[plot], ""] if plot in images else []
    return lines


def _fit_title(evaluations: Sequence[Evaluation]) -> str:
    settings = evaluations[0].result.fits.settings
    return FIT.format(field=settings.field, x=settings.beam[0], y=settings.beam[1])


def _finder_line(one: Evaluation) -> str:
    candidates = one.result.candidates / max(1, one.result.events)
    return (
        f"- Found by {one.finder.name} ({one.finder.origin}): {candidates:.0f} track candidates per event, "
        f"{milliseconds(one)} ms per event (median; {one.finder.timing})"
    )


def _titled(title: str, lines: Sequence[str]) -> list[str]:
    """A table below its title; nothing at all where there is none."""
    if not lines:
        return []
    return [*([title, ""] if title else []), *lines, ""]


def image_lines(plots: Mapping[str, Path], captions: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The line of Markdown that shows each plot, in the order of the captions.

    Args:
        plots: the files, by the names of the plots.
        captions: what each plot shows; of plots that are not there, too.
        folder: where the report is, from which the links are followed.
    """
    return {name: f"![{caption}]({_link(plots[name], folder)})" for name, caption in captions.items() if name in plots}


def _link(file: Path, folder: Path) -> str:
    return quote(os.path.relpath(file.resolve(), folder.resolve()).replace(os.sep, "/"))
