"""Native (C++) form of the stages, through ctypes: `exatrkx._stages`, where the package was built with a compiler.

The sources are in `backends/exatrkx/stages`, which the custom backend compiles too. ctypes lets go of Python's lock
during a call, so requests on other threads go on.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import logging
import os
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from exatrkx.errors import ContractError, ExatrkxError, GraphTooLargeError
from exatrkx.working_point import COMPLETION_CUTS

if TYPE_CHECKING:
    from exatrkx.working_point import WorkingPoint

ABI_VERSION: Final = 4
"""Of the functions that are declared below, and of `kAbiVersion` in c_api.cpp: raised together."""

CHOICE_VARIABLE: Final = "EXATRKX_STAGES"
"""Environment variable, read once: `scipy` turns the compiled stages off; else they are used where they are built."""

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

_LARGEST_INT64: Final = (1 << 63) - 1
_MESSAGE_SIZE: Final = 512
_ERRORS: Final[dict[int, type[Exception]]] = {1: ContractError, 2: GraphTooLargeError, 3: MemoryError, 4: ExatrkxError}

_Message = ctypes.c_char * _MESSAGE_SIZE
_Allocate = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int64)
_POINTER, _INT64, _DOUBLE, _FLOAT, _INT = (
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_double,
    ctypes.c_float,
    ctypes.c_int,
)
_MESSAGE: Final = (ctypes.c_char_p, _INT64)
_SIGNATURES: Final = {
    "exatrkx_fixed_radius_edges": (_POINTER, _INT64, _INT64, _DOUBLE, _INT64, _INT64, _INT, _Allocate, *_MESSAGE),
    "exatrkx_select_edges": (_POINTER, _POINTER, _INT64, _FLOAT, _INT, _Allocate, *_MESSAGE),
    "exatrkx_label_components": (_POINTER, _POINTER, _INT64, _INT64, _FLOAT, _INT64, _POINTER, *_MESSAGE),
    "exatrkx_label_clusters": (_POINTER, _POINTER, _INT64, _INT64, _FLOAT, _INT64, _POINTER, *_MESSAGE),
    "exatrkx_complete_tracks": (_POINTER, _INT64, _POINTER, _INT64, _INT, _POINTER, *_MESSAGE),
}


def available() -> bool:
    """Whether the stages on a CPU run in compiled code."""
    return _library() is not None


@functools.cache  # here as in `_library`: to read the environment takes a tenth of a small stage's time
def default_threads() -> int:
    """`OMP_NUM_THREADS` where it is a number at the first call, else the processors that this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0))


def fixed_radius_edges(
    embedding: FloatArray, *, radius: float, max_neighbors: int, max_edges: int, threads: int | None = None
) -> IntArray:
    """[2,E] edges; see `exatrkx.stages.edges.fixed_radius_edges`, which has looked at type and shape."""
    points = np.ascontiguousarray(embedding)
    return _edges(
        "exatrkx_fixed_radius_edges",
        _address(points),
        *points.shape,
        radius,
        _int64(max_neighbors),
        _int64(max_edges),
        threads or default_threads(),
    )


def select_edges(
    edge_index: IntArray, scores: FloatArray, *, threshold: np.float32, threads: int | None = None
) -> IntArray:
    """[2,E'] edges; see `exatrkx.stages.edges.select_edges`, which has looked at types and shapes."""
    index, values = np.ascontiguousarray(edge_index), np.ascontiguousarray(scores)
    return _edges(
        "exatrkx_select_edges",
        _address(index),
        _address(values),
        len(values),
        threshold,
        threads or default_threads(),
    )


def label_components(
    edge_index: IntArray, scores: FloatArray, num_nodes: int, *, threshold: np.float32, min_hits: int
) -> IntArray:
    """[N] labels; see `exatrkx.stages.track_building.label_components`, which has looked at types and shapes."""
    return _labels("exatrkx_label_components", edge_index, scores, num_nodes, threshold=threshold, min_hits=min_hits)


def label_clusters(
    edge_index: IntArray, scores: FloatArray, num_nodes: int, *, threshold: np.float32, min_hits: int
) -> IntArray:
    """[N] labels; see `exatrkx.stages.track_building.label_clusters`, which has looked at types and shapes."""
    return _labels("exatrkx_label_clusters", edge_index, scores, num_nodes, threshold=threshold, min_hits=min_hits)


def complete_tracks(
    features: FloatArray, labels: IntArray, cuts: WorkingPoint, *, threads: int | None = None
) -> IntArray:
    """[N] labels; see `exatrkx.stages.track_building.complete_tracks`, which has checked the arguments."""
    rows, completed = np.ascontiguousarray(features), labels.copy()
    numbers = np.array([getattr(cuts, name) for name in COMPLETION_CUTS], dtype=np.float64)
    _call(
        "exatrkx_complete_tracks",
        _address(rows),
        len(rows),
        _address(numbers),
        _int64(cuts.min_track_hits),
        threads or default_threads(),
        _address(completed),
    )
    return completed


def _labels(
    function: str, edge_index: IntArray, scores: FloatArray, num_nodes: int, *, threshold: np.float32, min_hits: int
) -> IntArray:
    index, values = np.ascontiguousarray(edge_index), np.ascontiguousarray(scores)
    labels = np.empty(num_nodes, dtype=np.int64)
    _call(
        function,
        _address(index),
        _address(values),
        len(values),
        num_nodes,
        threshold,
        _int64(min_hits),
        _address(labels),
    )
    return labels


def _edges(function: str, *arguments: object) -> IntArray:
    """A [2,E] array that is made when the compiled code knows E, which writes it in place."""
    made: list[IntArray] = []

    # Refers to the list alone: an object that held both this and the array would be a cycle, and the array would keep
    # its memory, and the next event would need other, until Python looks for cycles.
    def allocate(edges: int) -> int | None:
        try:
            made.append(np.empty((2, edges), dtype=np.int64))
        except MemoryError:
            return None
        return _address(made[0])

    _call(function, *arguments, _Allocate(allocate))
    return made[0]


def _call(function: str, *arguments: object) -> None:
    library = _library()
    if library is None:
        raise ExatrkxError("the compiled stages are not built: install the package where there is a C++20 compiler")
    message = _Message()
    status = getattr(library, function)(*arguments, message, _MESSAGE_SIZE)
    if status != 0:
        raise _ERRORS.get(status, ExatrkxError)(message.value.decode())


def _address(array: npt.NDArray[Any]) -> int:
    """Where the array's entries begin; `array.ctypes.data` is the same, by way of an import and an object."""
    address: int = array.__array_interface__["data"][0]
    return address


def _int64(value: int) -> int:
    """A cap that is beyond INT64 caps nothing, and neither does INT64's largest."""
    return min(value, _LARGEST_INT64)


@functools.cache
def _library() -> ctypes.CDLL | None:
    """The shared library with its signatures declared; None where none is wanted, or none fits this source."""
    if os.environ.get(CHOICE_VARIABLE) == "scipy":
        return None
    spec = importlib.util.find_spec("exatrkx._stages")
    if spec is None or spec.origin is None:
        return None
    try:
        library = ctypes.CDLL(spec.origin)
        version = library.exatrkx_abi_version()
        for name, argument_types in _SIGNATURES.items():
            getattr(library, name).argtypes = argument_types
    except (OSError, AttributeError) as error:
        logging.getLogger(__name__).warning("%s is not used: %s", spec.origin, error)
        return None
    if version != ABI_VERSION:
        logging.getLogger(__name__).warning(
            "%s is not used: it was built from another version of its source (interface %d, not %d); install again",
            spec.origin,
            version,
            ABI_VERSION,
        )
        return None
    library.exatrkx_score_threshold.argtypes = (_DOUBLE,)
    library.exatrkx_score_threshold.restype = _FLOAT
    return library
