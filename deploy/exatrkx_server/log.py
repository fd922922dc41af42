"""What a server's log says when the server cannot say it itself any more."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_ERROR: Final = re.compile(
    r"^(?:E\d{4} .*?\] |error: |.*/tritonserver: |I\d{4} .*?Failed to initialize Python stub: )(?P<text>.*)$"
)
_PORT_TAKEN: Final = re.compile(r"already in use|failed to (?:bind|listen)", re.IGNORECASE)

# What Triton reports as errors on every machine without a GPU.
_HARMLESS: Final = re.compile(r"CudaDriverHelper|unable to create stream for|CUDA driver version is insufficient")


def last_errors(log: Path, count: int = 3) -> str:
    """The last error lines of a Triton log, or its last lines where there is none."""
    lines = [line for line in _lines(log) if line.strip() and not _HARMLESS.search(line)]
    errors = [match["text"].strip('"') for line in lines if (match := _ERROR.match(line))]
    return "\n".join(errors[-count:] or lines[-count:]) or "nothing in the log"


def port_was_taken(log: Path) -> bool:
    """Whether the server ended because another process had one of its ports."""
    return any(_PORT_TAKEN.search(line) for line in _lines(log))


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines() if log.is_file() else []
