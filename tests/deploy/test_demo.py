"""The demonstration as a user runs it, with the committed networks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
PNG_MAGIC = b"\x89PNG"


@pytest.mark.server
def test_the_demonstration_finds_tracks_draws_them_and_leaves_no_server() -> None:
    answer = subprocess.run([sys.executable, "deploy/demo.py"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    total = next(line for line in answer.stdout.splitlines() if line.lstrip().startswith("total"))
    assert re.search(r"events: +22 in", answer.stdout)
    efficiency = float(re.findall(r"\d\.\d{3}", total)[0])
    assert 0.9 < efficiency <= 1.0
    tracks = pq.read_table(ROOT / "out" / "demo" / "tracks.parquet")
    assert len(tracks.group_by("event_id").aggregate([])) == 22
    assert (ROOT / "out" / "demo" / "event.png").read_bytes().startswith(PNG_MAGIC)
    page = (ROOT / "out" / "demo" / "event.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert '"score": {' in page
