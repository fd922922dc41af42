"""Processes of the service that are paused under load: labels of another request, and refusals of good events, never.

    EXATRKX_PAUSES=30 python -m pytest tests/served/test_paused_stages.py -s

pauses each process, and the whole service, as often as that, and prints what the clients were told.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest
from paused import CLIENTS, WHOLE_SERVICE, Outcomes, pause_under_load

from exatrkx.contract import ENSEMBLE, STEPS
from exatrkx_server import ServerOptions, TritonServer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.server

PAUSES: Final = int(os.environ.get("EXATRKX_PAUSES", "1"))


@pytest.mark.parametrize("target", [*(step.name for step in STEPS), WHOLE_SERVICE])
def test_every_answer_is_to_its_own_request(target: str, tiny_repository: Path, tmp_path: Path) -> None:
    told, ended = Outcomes(), 0
    for pause in range(PAUSES):
        # A server of its own for each: Triton may abort when what it has given up comes after all.
        options = ServerOptions(
            models=(ENSEMBLE.name,), log_file=tmp_path / f"tritonserver{pause}.log", custom_backend="python"
        )
        with TritonServer(tiny_repository, options) as server:
            told += pause_under_load(server, target)
            ended += server.ending is not None
    print(f"\n{target}: {PAUSES} pauses, {ended} ends of the server, {dict(told.counts)}")
    assert told.counts["wrong"] == 0
    assert told.refusals == []
    assert told.counts["right"] >= PAUSES * CLIENTS
