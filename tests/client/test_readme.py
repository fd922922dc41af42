"""Every example of client/README.md, run as it stands; only the server's address is another."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from exatrkx.events.parquet_writer import write_events
from exatrkx.events.readers import read_events

if TYPE_CHECKING:
    from exatrkx_server import TritonServer

ROOT: Final = Path(__file__).resolve().parents[2]
README: Final = (ROOT / "client" / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with `events.parquet` in it."""
    random = np.random.default_rng(0)
    np.savetxt(tmp_path / "event1.csv", random.uniform(0.0, 0.9, (50, 3)), delimiter=",")
    write_events(tmp_path / "events.parquet", read_events(tmp_path / "event1.csv"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def here(text: str, server: TritonServer) -> str:
    return text.replace("http://127.0.0.1:8000", server.http_url).replace("127.0.0.1:8001", server.grpc_url)


@pytest.mark.server
@pytest.mark.parametrize("place", range(len(blocks("python"))))
def test_python(server: TritonServer, folder: Path, place: int) -> None:
    assert folder.is_dir()
    exec(compile(here(blocks("python")[place], server), f"README.md, example {place}", "exec"), {})


@pytest.mark.server
def test_commands(server: TritonServer, folder: Path) -> None:
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    assert len(lines) >= 4
    for line in lines:
        python, script, *arguments = shlex.split(here(line, server))
        assert python == "python"
        # What the default address would be, where the line leaves it out.
        url = [] if "--url" in arguments or "event_display" in script else ["--url", server.grpc_url]
        done = subprocess.run(
            [sys.executable, str(ROOT / script), *arguments, *url],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (line, done.stderr)
    assert {"tracks.parquet", "tracks.csv", "display.png"} <= {file.name for file in folder.iterdir()}
