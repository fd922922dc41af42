"""Report of a batch: the figures of its files, merged, as Markdown that can be read as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exatrkx.performance.selection import TARGET
from exatrkx.reporting.markdown import markdown_table
from exatrkx.reporting.tables import particles_line, track_table
from exatrkx_batch.tasks import Figures

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HEADER = ("file", "events", "spacepoints", "tracks", "efficiency", "fake rate")


def report(done: Mapping[str, Figures], failed: Iterable[str], service: Mapping[str, str]) -> str:
    """The same text for the same figures, in whatever order they came.

    Args:
        done: figures by the name of their file.
        failed: names of the files without.
        service: what the manifest says of it.
    """
    total = sum((done[name] for name in sorted(done)), Figures())
    lines = [
        f"# Tracks of {len(done)} files",
        "",
        *(f"- {name}: {value}" for name, value in sorted(service.items())),
        particles_line(TARGET),
        *(f"- not done: {name}" for name in sorted(failed)),
        "",
        *markdown_table(
            HEADER, [_row(name, done[name]) for name in sorted(done)] + [_row("total", total)], lined_up=True
        ),
    ]
    if total.metrics != Figures().metrics:
        lines += ["", *track_table(total.metrics)]
    return "\n".join(lines) + "\n"


def _row(name: str, one: Figures) -> tuple[str, ...]:
    ratios = (one.metrics.efficiency_double_majority, one.metrics.fake_rate)
    shares = (f"{ratio.value:.4f}" if ratio.denominator else "–" for ratio in ratios)
    return (name, f"{one.events:,}", f"{one.spacepoints:,}", f"{one.tracks:,}", *shares)
