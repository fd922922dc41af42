"""Admission control of a server's Python models: how many requests wait, and whether the memory for an event is free.

Triton's own queues have no bound without its dynamic batcher, whose wake-ups get lost (docs/architecture.md). So the
models in which an event arrives ask how many requests wait in the server, and refuse while there are too many; those
that wait in an ensemble's later steps count, too. `triton/admission.hpp` of the C++ backends is the same.
"""

from __future__ import annotations

import ctypes
import os
import re
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exatrkx.arrays import Array, on_gpu
from exatrkx.checks import positive_number
from exatrkx.contract import CUSTOM, EMBED, GNN, ModelSpec
from exatrkx.errors import EventTooLargeError, OverloadedError
from exatrkx.serving.limits import (
    MAX_MEMORY_VARIABLE,
    MAX_QUEUE,
    MAX_QUEUE_VARIABLE,
    METRICS_URL_VARIABLE,
    TRY_LATER,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ENTRANCES: Final = {EMBED.name, CUSTOM.name}
"""Models in which events arrive; the ensemble's first step is one."""

SPACEPOINT_BYTES: Final = 4 << 10
"""Memory of a whole event for each of its spacepoints: measured at µ = 200."""

EDGE_BYTES: Final = 800
"""Memory of the GNN for each edge with as many continuations as it looks at; events at µ = 200 take a third of it."""

LARGE_MIB: Final = 256
"""An event that needs less begins without a look at the memory."""

_MIB: Final = 1 << 20
_SAMPLE_S: Final = 0.1
_ASK_TIMEOUT_S: Final = 1.0
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Without the proxy that the environment may name: the server is on this machine."""

_PENDING: Final = re.compile(rb"^nv_inference_pending_request_count\{[^}]*\} (\d+)", re.MULTILINE)
_RESIDENT: Final = re.compile(r"^Rss(?:Anon|Shmem):\s+(\d+) kB", re.MULTILINE)


class Queue:
    """How many requests wait in the server, as its metrics said a moment ago, less those refused since then."""

    def __init__(self) -> None:
        self._most = positive_number(MAX_QUEUE_VARIABLE, MAX_QUEUE)
        self._url = os.environ.get(METRICS_URL_VARIABLE)
        self._waiting = 0
        self._sampled = -_SAMPLE_S

    def admit(self) -> None:
        """Refuse a request while too many others wait.

        Raises:
            OverloadedError: with the limit and the number found.
        """
        if self._url is None:
            return
        if time.monotonic() - self._sampled >= _SAMPLE_S:
            try:
                with _DIRECT.open(self._url, timeout=_ASK_TIMEOUT_S) as answer:
                    self._waiting = sum(int(number) for number in _PENDING.findall(answer.read()))
            except (OSError, HTTPException):  # it still starts, or serves no metrics
                self._waiting = 0
            self._sampled = time.monotonic()
        if self._waiting > self._most:
            found, self._waiting = self._waiting, self._waiting - 1
            raise OverloadedError(f"more than max_queue = {self._most} requests wait, found {found}: {TRY_LATER}")


def needed_bytes(spec: ModelSpec, shapes: Mapping[str, Sequence[int]]) -> int:
    """Memory that an event of this size needs: where it arrives, by its spacepoints; in the GNN, by its edges."""
    if spec.name in ENTRANCES:
        return shapes[spec.inputs[0].name][0] * SPACEPOINT_BYTES
    return shapes[spec.inputs[1].name][1] * EDGE_BYTES if spec.name == GNN.name else 0


def check_gnn_memory(edge_index: Array) -> None:
    """`check_memory` before the GNN, of its edges [2,E], by the step that knows whose they are; a GPU has its own."""
    if not on_gpu(edge_index):
        check_memory(edge_index.shape[1] * EDGE_BYTES)


def check_memory(needed: int) -> None:
    """Refuse an event for which there is too little memory.

    Raises:
        EventTooLargeError: it would need more than all of it.
        OverloadedError: it would need more than is free of it.
    """
    most = positive_number(MAX_MEMORY_VARIABLE, 0)
    mib = needed // _MIB
    if not most or mib < LARGE_MIB:
        return
    if mib > most:
        raise EventTooLargeError(f"the event needs {mib} MiB, more than max_memory = {most} MiB")
    if mib + resident_mib(os.getpgrp()) > most:
        ctypes.CDLL(None).malloc_trim(0)  # what this process keeps for its next event
        if (used := resident_mib(os.getpgrp())) + mib > most:
            raise OverloadedError(
                f"the event needs {mib} MiB, and {used} MiB are used of max_memory = {most} MiB: {TRY_LATER}"
            )


def resident_mib(group: int) -> int:
    """MiB of all processes of a process group, a server's; what two of them share counts for each."""
    kib = 0
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(directory.name)) == group:
                kib += sum(int(number) for number in _RESIDENT.findall((directory / "status").read_text()))
        except OSError:  # ended meanwhile
            continue
    return kib >> 10
