"""Log of a server: appended to, bounded by rotation, and read for the reason when something fails."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHECK_S: Final = 0.2
_TAIL_BYTES: Final = 1 << 20

_ERROR: Final = re.compile(
    r"^(?:E\d{4} .*?\] |error: |.*/tritonserver: |I\d{4} .*?Failed to (?:pre)?initialize Python stub: |\[warn\] |"
    r"\s+(?=what\(\):)|(?=terminate called|Signal \(\d+\)|bash: ))(?P<text>.*)$"
)
_STACK_FRAME: Final = re.compile(r"\s*\d+# ")
_PORT_TAKEN: Final = re.compile(r"already in use|failed to (?:bind|listen)", re.IGNORECASE)

# What Triton reports as errors on every machine without a GPU.
_HARMLESS: Final = re.compile(r"CudaDriverHelper|unable to create stream for|CUDA driver version is insufficient")


class ServerLog:
    """The log of one server after the other, each appended to what is there.

    The server writes to the file itself, never through this process, which could keep it waiting. Above `max_bytes` the
    contents go to a file of the same name with `.1` at its end, equal lines that follow each other as one of them, and
    the file begins anew.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._begin = 0

    @property
    def rotated(self) -> Path:
        """Where the older part is."""
        return self.path.with_name(f"{self.path.name}.1")

    def begin(self) -> None:
        """Note that a server starts: what is in the log now is not its own. Raises OSError if it cannot be written."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab"):
            self._begin = self._size()

    def write(self, text: str) -> None:
        """Add a line of the one who watches the server; a disk that is full is no reason to stop watching."""
        with contextlib.suppress(OSError), self.path.open("a") as log:
            log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} exatrkx_server: {text}\n")

    @contextlib.contextmanager
    def bounded(self) -> Iterator[None]:
        """Look after its size, from a thread."""
        closing = threading.Event()

        def watch() -> None:
            while not closing.wait(_CHECK_S):
                if self._size() > self._max_bytes:
                    self._rotate()

        thread = threading.Thread(target=watch, name="exatrkx-log", daemon=True)
        thread.start()
        try:
            yield
        finally:
            closing.set()
            thread.join()

    def last_errors(self, count: int = 3) -> str:
        """The server's last error lines, or its last lines where there is none."""
        lines = [line for line in self._lines() if line.strip()]
        lines = [line for line in lines if not (_HARMLESS.search(line) or _STACK_FRAME.match(line))]
        errors = [match["text"].strip('"') for line in lines if (match := _ERROR.match(line))]
        return "\n".join(errors[-count:] or lines[-count:]) or "nothing in the log"

    def port_was_taken(self) -> bool:
        """Whether the server ended because another process had one of its ports."""
        return any(_PORT_TAKEN.search(line) for line in self._lines())

    def _size(self) -> int:
        # It may be a terminal or a pipe, or one of the names that /dev has for what this process writes to.
        ours = self.path.is_file() and self.path.absolute().parts[1] != "dev"
        return self.path.stat().st_size if ours else 0

    def _lines(self) -> list[str]:
        """The end of what this server has written; equal lines that follow each other once."""
        if not self._size():
            return []
        with self.path.open("rb") as log:
            log.seek(max(self._begin, self._size() - _TAIL_BYTES))
            text = log.read(_TAIL_BYTES).decode(errors="replace")
        return [line for line, _ in itertools.groupby(text.splitlines())]

    def _rotate(self) -> None:
        # Copied and emptied, not renamed: the server has the file open, and appends to it.
        with contextlib.suppress(OSError), self.path.open("rb") as log:
            log.seek(-min(self._size(), self._max_bytes), 2)
            groups = itertools.groupby(log.read(self._max_bytes).splitlines(keepends=True))
            content = b"".join(line for line, _ in groups)
            # Lines that say one thing again and again are few here: they must not push out what was before them.
            room = self._max_bytes - len(content)
            before = self.rotated.read_bytes()[-room:] if room > 0 and self.rotated.is_file() else b""
            self.rotated.write_bytes(before + content)
        with contextlib.suppress(OSError):
            os.truncate(self.path, 0)
        self._begin = 0
