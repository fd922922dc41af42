"""deploy/monitoring/trace_event.py as it is typed: OpenTelemetry traces of a real server, received and drawn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from exatrkx.contract import ENSEMBLE

pytestmark = pytest.mark.server

ROOT: Final = Path(__file__).resolve().parents[2]
EVENTS: Final = ROOT / "data" / "events" / "ttbar_mu0.parquet"
STEPS: Final = ["embed", "frnn", "filter", "applyfilter", "gnn", "wcc"]


def test_a_timeline_of_the_six_steps(tiny_repository: Path, tmp_path: Path) -> None:
    script, output = ROOT / "deploy" / "monitoring" / "trace_event.py", tmp_path / "timeline.png"
    command = [sys.executable, str(script), str(EVENTS), "--output", str(output), "--requests", "3"]
    command += ["--model-repository", str(tiny_repository)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    header, *rows = [line.split() for line in done.stdout.splitlines()]
    assert header == ["ms", "asked", "computes", "answers", "ends"]
    assert [row[0] for row in rows] == [ENSEMBLE.name, *STEPS]
    (begin, _, _, end), *steps = [[float(number) for number in row[1:]] for row in rows]
    assert begin == 0.0
    answered = 0.0
    for asked, computes, answers, ends in steps:  # each begins when the one before it has answered
        assert answered <= asked <= computes <= answers <= ends <= end
        answered = answers
    assert output.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [output]


def test_an_output_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"of mine")
    script = ROOT / "deploy" / "monitoring" / "trace_event.py"
    command = [sys.executable, str(script), str(EVENTS), "--output", str(tmp_path / "file" / "below.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
