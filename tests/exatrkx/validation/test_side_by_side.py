"""Finders side by side: where ours is below another, other definitions, named samples and causes in the report."""

from __future__ import annotations

import re
from dataclasses import replace

import handmade
import numpy as np
import pytest

from exatrkx.events.event import Event
from exatrkx.performance.imperfect import TRACK_BUILDING, Cause
from exatrkx.performance.selection import SELECTIONS
from exatrkx.validation import Validation
from exatrkx.validation.evaluation import Evaluation, Sample
from exatrkx.validation.finders import NETWORKS, Finder, Found
from exatrkx.validation.report import markdown
from exatrkx.validation.side_by_side import below_lines, mean_score

HITS = 8


def events(count: int, pt: float) -> Event:
    """Particles of eight spacepoints each."""
    ways = [list(range(HITS * p, HITS * p + HITS)) for p in range(count)]
    made_by = handmade.particles(count, pt=[pt] * count, eta=np.linspace(-2.9, 2.9, count).tolist())
    event = handmade.event(HITS * count, ways, made_by)
    event.x[:] = np.tile(30.0 + 40.0 * np.arange(HITS), count)
    return event


def evaluated(name: str, perfect: int, total: int, pt: float = 2.0) -> Evaluation:
    """A finder that leaves out the last spacepoint of all but so many particles."""
    labels = np.repeat(np.arange(total), HITS)
    labels[HITS - 1 + HITS * np.arange(perfect, total)] = -1
    result = Validation()
    result.add(Found(labels=labels, seconds=0.1), events(total, pt))
    finder = Finder(lambda _: Found(labels=labels, seconds=0.1), "nowhere", "made up", name)
    return Evaluation(sample=Sample("sample", ()), finder=finder, result=result)


def test_every_bin_that_is_significantly_below_is_named() -> None:
    ours, other = evaluated(NETWORKS, 60, 100), evaluated("CKF", 90, 100)
    (line,) = below_lines([ours, other])
    assert line.startswith("- Efficiency more than 2 σ below that of CKF: ")
    assert "standard, perfect (0.6000, 0.9000: 4.9 σ)" in line
    assert "pT / GeV [2, 3), perfect (0.6000, 0.9000: 4.9 σ)" in line
    assert "production radius / mm [0, 0.1), perfect" in line
    assert "double majority" not in line, "both find all"
    assert re.search(r"η \[[\d.]+, [\d.]+\), perfect", line), "the last particles are those of large η"
    assert "soft" not in line
    assert "electrons" not in line


def test_particles_below_the_cut_have_bins_and_a_sample_of_their_own() -> None:
    (line,) = below_lines([evaluated(NETWORKS, 60, 100, 0.6), evaluated("CKF", 90, 100, 0.6)])
    assert "soft, perfect (0.6000, 0.9000: 4.9 σ)" in line
    assert "pT / GeV [0.5, 0.7), perfect (0.6000, 0.9000: 4.9 σ)" in line
    assert "standard" not in line


def test_what_is_not_significant_or_above_is_not_named() -> None:
    for mine in (88, 90, 100):
        lines = below_lines([evaluated(NETWORKS, mine, 100), evaluated("CKF", 90, 100)])
        assert lines == ["- In no bin is the efficiency more than 2 σ below that of CKF."]
    several = below_lines([evaluated("CKF", 1, 9), evaluated(NETWORKS, 1, 9), evaluated("mine", 1, 9)])
    assert [line.rpartition(" ")[2] for line in several] == ["CKF.", "mine."]
    assert below_lines([evaluated(NETWORKS, 1, 9)]) == []
    assert below_lines([evaluated("CKF", 1, 9), evaluated("mine", 9, 9)]) == []


@pytest.mark.parametrize("finders", [(NETWORKS,), (NETWORKS, "CKF"), ("CKF", "mine")])
def test_the_report_has_all_of_it(finders: tuple[str, ...]) -> None:
    evaluations = [evaluated(name, 60 + 30 * place, 100) for place, name in enumerate(finders)]
    report = markdown(evaluations)
    rows = {line.split(" | ")[0].lstrip("| "): line for line in report.splitlines() if line.startswith("| ")}
    for name in SELECTIONS:
        assert all(f"{name}, {finder}" in rows for finder in finders)
    assert "(760 / 800)" in rows["hit efficiency"]
    assert "1.0000 [" in rows["hit purity"]
    assert "| 100 / 100 |" in rows["candidates"]
    assert re.search(r"\| 0\.9\d+ \|", rows["TrackML score"]), "one event has no interval"
    assert rows["one too few"].startswith("| one too few | ")
    assert "| one too few | 40 | 0.4000 |" in report
    assert f"| {Cause.END} | 40 | 0.4000 |" in report
    assert TRACK_BUILDING not in report, "nothing is known of stages"
    assert ("more than 2 σ below that of CKF" in report) == (NETWORKS in finders and "CKF" in finders)


def test_stages_have_columns_where_their_graphs_are_known() -> None:
    event = events(2, 2.0)
    chain = np.stack((np.arange(1, 2 * HITS), np.arange(2 * HITS - 1)))
    chain = chain[:, np.arange(2 * HITS - 1) != HITS - 1]
    result = Validation()
    labels = np.repeat([0, 1], HITS)
    labels[[HITS - 1, 2 * HITS - 1]] = -1
    graphs = {"neighbours": chain, "filter": chain[:, :-1], "GNN": chain[:, :-1]}
    result.add(Found(labels=labels, seconds=0.1, graphs=graphs), event)
    lines = result.causes.table()
    assert lines[0].endswith("| lost by neighbours | lost by filter | lost by GNN | lost by track building |")
    assert "| one too few | 2 | 1.0000 | – | 1 | – | 1 |" in lines
    assert Validation().causes.table() == []


def test_the_mean_of_scores_and_its_interval() -> None:
    assert mean_score([]) == "–"
    assert mean_score([0.5]) == "0.5000"
    assert mean_score([0.5, 0.7]) == "0.6000 [0.4040, 0.7960]"  # 1.96 × 0.1414 / √2


def test_events_are_pooled() -> None:
    whole, event = Validation(), events(3, 2.0)
    labels = np.repeat(np.arange(3), HITS)
    labels[-1] = -1
    for number in range(2):
        whole.add(Found(labels=labels, seconds=0.1), replace(event, event_id=number))
    once = Validation()
    once.add(Found(labels=labels, seconds=0.1), event)
    assert whole.other_definitions == once.other_definitions + once.other_definitions
    assert whole.trackml == once.trackml * 2
    assert whole.particles == 2 * once.particles == 6
    assert whole.causes.tracks["one too few"] == 2 * once.causes.tracks["one too few"] == 2
