"""The command `exatrkx`: its list, its subcommands' help without what they need to run, and how it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from exatrkx import __version__
from exatrkx.__main__ import COMMANDS, main

ROOT: Final = Path(__file__).resolve().parents[2]
EXTRAS: Final = (
    *("torch", "torch_geometric", "safetensors", "scipy", "matplotlib", "mplhep"),
    *("acts", "pythia8mc", "psutil", "sklearn", "faiss", "cupy"),
)
"""Modules that only extras of the package bring."""


def without_extras(*words: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {EXTRAS}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        f"from exatrkx.__main__ import main; sys.exit(main({list(words)}))"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_help_has_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    for name, (_, summary) in COMMANDS.items():
        assert any(line.startswith(f"{name} ") and line.endswith(summary) for line in lines), name


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"exatrkx {__version__}\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_needs_no_extra(name: str) -> None:
    done = without_extras(*name.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: exatrkx {name} ")


@pytest.mark.parametrize(
    ("words", "missing", "extra"),
    [
        (["simulate", "events.parquet"], "acts", "simulate"),
        (["ckf"], "acts", "simulate"),
        (["acts"], "acts", "simulate"),
        (["export"], "torch", "torch"),
        (["display", str(ROOT / "data" / "events"), "tracks.csv"], "matplotlib", "display"),
        (["perf", "sweep"], "psutil", "perf"),
    ],
)
def test_a_command_without_its_extra_says_what_to_install(
    words: list[str], missing: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = without_extras(*words)
    name = " ".join(words[: 2 if words[0] == "perf" else 1])
    assert done.returncode == 1
    assert done.stderr == f"exatrkx {name}: No module named '{missing}': pip install 'exatrkx[{extra}]'\n"


@pytest.mark.parametrize("words", [[], ["nothing"], ["perf"], ["perf", "nothing"]])
def test_what_is_no_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert f"{' '.join(words) or 'no command'}: known are " in error
    assert "perf sweep, perf compare" in error


def test_errors_are_told_under_the_name_that_was_typed(tmp_path: Path) -> None:
    events = str(tmp_path / "none.csv")
    as_command = [sys.executable, "-m", "exatrkx", "find", events]
    as_script = [sys.executable, str(ROOT / "client" / "find_tracks.py"), events]
    for command, name in ((as_command, "exatrkx find"), (as_script, "find_tracks.py")):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith(f"{name}: ")


def test_the_client_needs_numpy_and_tritonclient_alone() -> None:
    absent = [*EXTRAS, "pyarrow", "tqdm"]
    code = f"import sys; sys.modules.update(dict.fromkeys({absent})); import exatrkx_client"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_citation_has_this_version() -> None:
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
