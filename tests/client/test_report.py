"""The table of find_tracks.py, to the letter."""

from __future__ import annotations

from dataclasses import replace

import handmade
import numpy as np

from exatrkx_client import TrackResult
from exatrkx_client.report import Report

SEVEN = list(range(7))
FOUND = np.array([0] * 7 + [1] * 7, dtype=np.int64)
MISSED = np.full(14, -1, dtype=np.int64)
EVENT = handmade.event(14, [SEVEN, [i + 7 for i in SEVEN]])


def test_lines_and_total_with_truth() -> None:
    report = Report(with_truth=True, in_flight=1)
    lines = [
        report.header(),
        report.add(EVENT, TrackResult(FOUND, 0.0125)),
        report.add(replace(EVENT, event_id=123456), TrackResult(MISSED, 1.0)),
        report.add(replace(EVENT, event_id=8, truth=None), TrackResult(FOUND, 0.0)),
        *report.total(elapsed_s=2.0).splitlines(),
    ]
    assert lines == [
        "     event  spacepoints   tracks  efficiency  fake rate        ms",
        "         7           14        2       1.000      0.000      12.5",
        "    123456           14        0       0.000          –    1000.0",
        "         8           14        2           –          –       0.0",
        "     total           42        4       0.500      0.000     337.5",
        "",
        "efficiency: 0.5000 [0.1500, 0.8500] (2 of 4), double majority, of charged primaries with pT > 1 GeV, "
        "|η| < 3, ≥ 7 spacepoints",
        "fake rate:  0.0000 [0.0000, 0.6576] (0 of 2), candidates without a majority particle",
        "ms:         from sending a request to its decoded answer, one at a time; in the total their mean",
        "events:     3 in 2.00 s",
    ]


def test_without_truth_there_is_no_word_of_efficiency() -> None:
    report = Report(with_truth=False, in_flight=4)
    text = "\n".join([report.header(), report.add(EVENT, TrackResult(FOUND, 0.01)), report.total(1.0)])
    assert "efficiency" not in text
    assert "fake" not in text
    assert "up to 4 at once" in text


def test_who_answered_and_how_often_was_asked() -> None:
    report = Report(with_truth=False, in_flight=1, several=True)
    for answered_by, attempts in (("grpc://b:8001", 1), ("direct", 0), ("grpc://b:8001", 7), ("grpc://a:8001", 2)):
        report.add(EVENT, TrackResult(FOUND, 0.01, answered_by=answered_by, attempts=attempts))
    assert report.total(1.0).splitlines()[-2:] == [
        "answered:   grpc://b:8001 2, direct 1, grpc://a:8001 1",
        "sent again: 2 of 4 events, up to 7 attempts",
    ]


def test_no_events() -> None:
    assert "     total            0        0       0.0" in Report(with_truth=False, in_flight=1).total(0.0)
