"""What a server's log says when the server cannot say it itself any more."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_ERROR: Final = re.compile(r"^(?:E\d{4} .*?\] |error: )(?P<text>.*)$")
_PORT_TAKEN: Final = re.compile(r"already in use|failed to (?:bind|listen)|Unavailable - Socket", re.IGNORECASE)


def last_errors(log: Path, count: int = 3) -> str:
    """The last error lines of a Triton log, or its last lines where there is none."""
    lines = _lines(log)
    errors = [match["text"].strip('"') for line in lines if (match := _ERROR.match(line))]
    return "\n".join(errors[-count:] or lines[-count:]) or "nothing in the log"


def port_was_taken(log: Path) -> bool:
    """Whether the server ended because another process had one of its ports."""
    return any(_PORT_TAKEN.search(line) for line in _lines(log))


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines() if log.is_file() else []
