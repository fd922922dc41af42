"""What a server says of itself over HTTP: whether it is up, and which models are ready."""

from __future__ import annotations

import json
import re
import urllib.request
from dataclasses import dataclass
from typing import Any

_ASK_TIMEOUT_S = 2.0
_LIST_TIMEOUT_S = 30.0

# Never through a proxy: the server is on this machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class ModelState:
    """One model of the repository: READY, or not and why."""

    name: str
    state: str
    reason: str

    @property
    def ready(self) -> bool:
        return self.state == "READY"

    def __str__(self) -> str:
        # On one line, without the Python backend's traceback (which the log has) and Triton's name for the error.
        reason = " ".join(self.reason.partition("\n\nAt:")[0].split())
        reason = re.sub(r"^(Internal|Invalid argument): (ContractError: )?", "", reason).removeprefix(f"{self.name}: ")
        # Triton says nothing about an ensemble that it did not try to load.
        return f"{self.name}: {reason or 'a model that it needs did not load'}"


def _request(url: str, timeout_s: float, body: bytes | None = None) -> Any:
    with _opener.open(urllib.request.Request(url, data=body), timeout=timeout_s) as response:  # noqa: S310 - http only
        return json.loads(response.read() or "null")


def server_id(http_url: str) -> str | None:
    """The name of the server that answers at this address; None while none does.

    Triton opens its ports after it has tried to load every model.
    """
    try:
        name = _request(f"{http_url}/v2", _ASK_TIMEOUT_S)["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(name)


def answers(url: str) -> bool:
    """Whether there is something at this address."""
    try:
        with _opener.open(url, timeout=_ASK_TIMEOUT_S):
            return True
    except OSError:
        return False


def model_states(http_url: str) -> list[ModelState]:
    """Every model that the server found in its repository."""
    index = _request(f"{http_url}/v2/repository/index", _LIST_TIMEOUT_S, body=b"{}")
    return [ModelState(entry["name"], entry.get("state", "UNLOADED"), entry.get("reason", "")) for entry in index]
