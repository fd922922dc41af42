"""Devices that there are, and names of such as there are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from exatrkx.errors import ContractError, ExitCode
from exatrkx.networks.device import usable_device
from exatrkx.pipeline import Pipeline
from exatrkx.training.__main__ import main as train
from exatrkx.validation.__main__ import main as validate
from exatrkx_perf import EVENTS

if TYPE_CHECKING:
    from pathlib import Path


def test_the_cpu_is_always_there() -> None:
    assert usable_device("cpu") == torch.device("cpu")
    assert usable_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["cuda:77", "gpu", "cpu:x", "meta"])
def test_devices_that_are_none(name: str) -> None:
    with pytest.raises(ContractError, match=f"device '{name}' cannot be used: "):
        usable_device(name)
    with pytest.raises(ContractError, match=f"device '{name}'"):
        Pipeline.from_weights(device=name)


def test_commands_say_so_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = str(EVENTS)
    assert validate([events, "--device", "cuda:77", "--output", str(tmp_path / "report.md")]) == ExitCode.FAILED
    arguments = ["all", "--train", events, "--valid", events, "--output", str(tmp_path / "out"), "--device", "cuda:77"]
    assert train(arguments) == ExitCode.FAILED
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "device 'cuda:77' cannot be used: " in line] == lines
    assert len(lines) == 2
