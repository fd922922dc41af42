"""The benchmark as Markdown: figures asked for, one table for each stage, growth, and the circumstances."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exatrkx_perf.tables import table
from stage_benchmarks.growth import largest
from stage_benchmarks.requirements import requirements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stage_benchmarks.rows import Row


def report(rows: Sequence[Row]) -> str:
    """Everything that was measured, for a reader."""
    stages = dict.fromkeys(row.stage for row in rows)
    sections = [
        circumstances_text(rows),
        requirements_text(rows),
        *(stage_text(stage, [row for row in rows if row.stage == stage]) for stage in stages),
        growth_text(rows),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def circumstances_text(rows: Sequence[Row]) -> str:
    """Where, with what, on what; more than one of a kind is said."""
    lines = [
        f"- {label}: {'; '.join(dict.fromkeys(str(getattr(row, name)) for row in rows))}"
        for name, label in (("machine", "machine"), ("versions", "versions"), ("commit", "commit"), ("input", "events"))
    ]
    loads = [row.load for row in rows]
    lines.append(f"- load average while measuring: {min(loads):.2f} to {max(loads):.2f}")
    lines.append("- figures: medians of repeated calls, each method in a process of its own")
    return "\n".join(lines)


def requirements_text(rows: Sequence[Row]) -> str:
    """What is asked of the stages, and whether it is so."""
    cells = [[one.name, f"{one.measured:.2f}", one.asked, one.met] for one in requirements(rows)]
    return table(["figure", "measured", "asked", "met"], cells)


def stage_text(stage: str, rows: Sequence[Row]) -> str:
    """Every method of a stage on every event."""
    cells = [
        [
            f"{row.spacepoints:,}",
            row.method,
            str(row.threads),
            f"{row.edges:,}",
            f"{row.wall_ms:.2f}",
            f"{row.cpu_ms:.2f}",
            f"{row.peak_mib:.1f}",
            f"{row.speed_up:.2f}",
            "yes" if row.same_answer else "NO",
        ]
        for row in rows
    ]
    header = [
        "spacepoints",
        "method",
        "threads",
        "edges",
        "ms",
        "CPU ms",
        "peak MiB",
        "reference / this",
        "same answer",
    ]
    return f"## {stage}\n\nReference: {rows[0].method}.\n\n{table(header, cells)}"


def growth_text(rows: Sequence[Row]) -> str:
    """By which powers time grows, from the smallest event to the largest; empty with events of one size."""
    cells = [
        [row.stage, row.method, str(row.threads), f"{row.n_power:.2f}", f"{row.size_power:.2f}"]
        for row in largest(rows)
        if row.n_power == row.n_power  # not NaN
    ]
    if not cells:
        return ""
    few, many = (choose(row.spacepoints for row in rows) for choose in (min, max))
    text = (
        f"Time from {few:,} to {many:,} spacepoints grows as these powers of the spacepoints N, and of N + E, the\n"
        "points and edges that a stage reads or writes. At a fixed radius edges grow faster than N; beyond its fixed\n"
        "costs no algorithm grows with less than the first power of N + E."
    )
    return f"## Growth\n\n{text}\n\n{table(['stage', 'method', 'threads', 'power of N', 'power of N + E'], cells)}"
