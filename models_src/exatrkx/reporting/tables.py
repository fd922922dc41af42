"""Track figures as Markdown: particles to be found, efficiencies and rates with intervals, commit."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exatrkx.reporting.git import git
from exatrkx.reporting.markdown import markdown_table

if TYPE_CHECKING:
    from exatrkx.performance.intervals import Ratio
    from exatrkx.performance.metrics import TrackMetrics
    from exatrkx.performance.selection import ParticleSelection

TRACK_ROWS: Final = (
    ("efficiency, double majority", "efficiency_double_majority", "> 50 % of the candidate and of the particle"),
    ("efficiency, LHC", "efficiency_lhc", "≥ 75 % of the candidate"),
    ("efficiency, perfect", "efficiency_perfect", "exactly the particle's spacepoints"),
    ("fake rate", "fake_rate", "candidates in which no particle has more than half"),
    ("unmatched rate", "unmatched_rate", "candidates that match no particle by double majority"),
    ("duplicate rate", "duplicate_rate", "candidates of a selected particle beyond its first"),
)

FIELD_ROWS: Final = (
    ("efficiency, acorn `ATLAS`", "acorn_atlas", "particles that made > 50 % of a candidate"),
    ("efficiency, acorn `one_way`", "acorn_one_way", "particles > 50 % of which are in one candidate"),
    ("efficiency, acorn `two_way`", "acorn_two_way", "both in the same candidate"),
    ("fakes, acorn `ATLAS`, `one_way`", "acorn_fakes", "candidates > 50 % of which no particle made"),
    ("fakes, acorn `two_way`", "acorn_two_way_fakes", "candidates that match no particle both ways"),
    ("fakes, HEPTv2", "fakes_of_selected", "≤ 50 %, of candidates whose majority particle is to be found"),
    ("hit efficiency", "hit_efficiency", "spacepoints of found particles that are on their candidates"),
    ("hit purity", "hit_purity", "spacepoints of these candidates that are the particle's"),
)
"""Title, field of `FieldMetrics`, and what it counts."""


def particles_line(selection: ParticleSelection) -> str:
    """The particles that an efficiency counts."""
    return (
        f"- Particles to be found: charged primaries, pT > {selection.min_pt:g} GeV, |η| < {selection.max_abs_eta:g}, "
        f"at least {selection.min_spacepoints} spacepoints"
    )


def code_line() -> str:
    """The commit and the platform."""
    return f"- Code: {_commit()}; {platform.machine()}, Python {platform.python_version()}"


def track_table(tracks: TrackMetrics) -> list[str]:
    """The figures of the track candidates, with 95 % intervals."""
    ratios = [(title, getattr(tracks, name), meaning) for title, name, meaning in TRACK_ROWS]
    return markdown_table(
        ("tracks", "value [95 % interval]", "counted", "matched when, or counted what"),
        [
            (title, with_interval(one), f"{one.numerator} / {one.denominator}", meaning)
            for title, one, meaning in ratios
        ],
    )


def with_interval(ratio: Ratio) -> str:
    """A fraction and its 95 % interval; a dash where nothing was counted."""
    if not ratio.denominator:
        return "–"
    low, high = ratio.interval
    return f"{ratio.value:.4f} [{low:.4f}, {high:.4f}]"


def _commit() -> str:
    try:
        folder = Path(__file__).parent
        dirty = "-dirty" * bool(git(folder, "status", "--porcelain", "--untracked-files=no"))
        return f"commit {git(folder, 'describe', '--always')}{dirty}"
    except (OSError, subprocess.CalledProcessError):
        return "not in a git checkout"
