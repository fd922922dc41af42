"""Validation of tensors: type, shape, finite entries, index ranges; one wording of errors for every implementation.

One wording for the pipeline, the adapters and every implementation of a stage: each text starts with the tensor's name
in `exatrkx.contract`, then says what was expected and what was found. NumPy and CuPy arrays are both taken.
"""

from __future__ import annotations

import math
import operator
import os
from typing import TYPE_CHECKING, Final, SupportsIndex, cast

from exatrkx.arrays import Array, on_gpu
from exatrkx.contract import VARIABLE, WCC, TensorSpec
from exatrkx.errors import ContractError, EventTooLargeError, GraphTooLargeError, UnitsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_SPACEPOINTS: Final = 500_000
"""Most spacepoints of one event, where the environment variable says no other number: some four times µ = 200."""

MAX_SPACEPOINTS_VARIABLE: Final = "EXATRKX_MAX_SPACEPOINTS"

MAX_NODES: Final = 1 << 26
"""Most spacepoints in one event: some hundred times the busiest events foreseen, and still only 0.5 GB of labels."""

MM_PER_UNIT: Final = 1000.0
"""mm per unit of the r and z columns of FEATURES: the tracker then fits in numbers of order one."""
FEATURE_COLUMNS: Final = ("r / 1000 mm", "φ / π", "z / 1000 mm")
FARTHEST_R, FARTHEST_Z = 12_500.0, 23_000.0
"""mm; no detector at a collider is larger than ATLAS, which is 25 m across and 46 m long."""
NEAREST_R: Final = 5.0
"""mm; no sensor is closer to a beam than those of LHCb's VELO, at 5.1 mm."""
OUTERMOST_R: Final = 300.0
"""mm; more than the radius in cm of any tracker (ALICE's TPC: 250), and less than that in mm of those with more than
pixels. An event with spacepoints within `NEAREST_R` is one of other units only if all are within this."""
FEWEST_SPACEPOINTS: Final = 10
"""Fewer say nothing of how large their detector is."""
HALF_TURN: Final = 1.0 + 1e-5
"""|φ / π| of half a turn, and room for the rounding of printed numbers."""

_SCORED_EDGES, _SCORES, _NUM_NODES = (WCC.input(name) for name in ("EDGE_INDEX", "EDGE_SCORES", "NUM_NODES"))

_SHOWN: Final = 60
"""Most characters of a name in a message."""
_NAMED: Final = 20
"""Most names in a message."""
_UNITS: Final = {"cm": 10.0, "m": 1000.0, "µm": 0.001, "tenths of a mm": 0.1}
"""Units that lengths are given in by mistake, in mm; the likeliest first."""


def quoted(names: Iterable[str]) -> str:
    """Names of columns for a message, at most some; a broken file's bytes are none, and must not steer a terminal."""
    shown = [f"'{name}'" if name.isprintable() and len(name) <= _SHOWN else ascii(name[:_SHOWN]) for name in names]
    return ", ".join(shown[:_NAMED]) + (f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else "")


def check_tensor(array: Array, spec: TensorSpec) -> None:
    """Refuse an array whose type or shape is not that of `spec`.

    Raises:
        ContractError: naming the tensor, its type and shape in the contract, and those found.
    """
    dtype, shape = getattr(array, "dtype", None), getattr(array, "shape", None)
    if dtype is None or shape is None:
        raise ContractError(f"{spec.name}: expected {_form(spec)}, found {type(array).__name__}")
    if dtype != spec.numpy_type or not spec.accepts(shape):
        raise ContractError(f"{spec.name}: expected {_form(spec)}, found {dtype} [{','.join(map(str, shape))}]")


def positive_number(variable: str, default: int) -> int:
    """The positive whole number in an environment variable; the default where there is none."""
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() and int(text) > 0 else default


def max_spacepoints() -> int:
    """Most spacepoints of an event, as this process's environment says."""
    return positive_number(MAX_SPACEPOINTS_VARIABLE, MAX_SPACEPOINTS)


def check_spacepoints(shape: Sequence[int], spec: TensorSpec, most: int) -> None:
    """Refuse an event with more than `most` spacepoints by the shape of a tensor that has a row for each of them.

    Raises:
        EventTooLargeError: with the limit and the number found.
    """
    if len(shape) != 2 or len(spec.dims) != 2 or spec.dims[0] != VARIABLE:  # noqa: PLR2004 - no matrix
        return
    if shape[0] > most:
        raise EventTooLargeError(f"{spec.name}: more than max_spacepoints = {most} spacepoints, found {shape[0]}")


def check_finite(array: Array, name: str) -> None:
    """Refuse a [N,D] array with a NaN or an infinity in it; the first in row-major order is named.

    Raises:
        ContractError: with the value and where it stands.
    """
    flat = array.reshape(-1)
    bad = ~(abs(flat) < math.inf)
    if bad.any():
        first = int(bad.argmax())
        row, column = divmod(first, array.shape[1])
        value = float(flat[first])
        raise ContractError(f"{name}: entries must be finite, found {value:g} at row {row}, column {column}")


def check_lengths(r: Array, z: Array, name: str) -> None:
    """Refuse spacepoints, r and z [N] in mm, that are in no detector: farther out or nearer than any sensor.

    Raises:
        UnitsError: with the range found, and the unit in which the lengths would fit a detector.
    """
    if not len(r):
        return
    nearest, outermost, farthest = float(r.min()), float(r.max()), float(abs(z).max())

    def wrong(unit: float) -> bool:
        outside = outermost * unit > FARTHEST_R or farthest * unit > FARTHEST_Z
        inside = nearest * unit < NEAREST_R and outermost * unit < OUTERMOST_R
        return outside or (inside and len(r) >= FEWEST_SPACEPOINTS)

    if wrong(1.0):
        fitting = next((f"; in {unit} they would" for unit, mm in _UNITS.items() if not wrong(mm)), "")
        raise UnitsError(
            f"{name}: spacepoints at r = {nearest:.4g} … {outermost:.4g} mm, |z| ≤ {farthest:.4g} mm fit no detector; "
            f"lengths are mm{fitting}"
        )


def check_features_range(features: Array, name: str, first_row: int = 0) -> None:
    """Refuse FEATURES [N,3] that are no (r / 1000 mm, φ / π, z / 1000 mm) of a detector; NaN is left to `check_finite`.

    Args:
        features: the array.
        name: what to call it.
        first_row: the number of its first row, as its source counts them.

    Raises:
        UnitsError: with the first entry that cannot be, and what was probably given.
    """
    if not len(features):
        return
    columns = features.T.copy()  # reductions along rows of memory are some ten times faster
    least, most = columns.min(axis=1), columns.max(axis=1)
    far_r, far_z = FARTHEST_R / MM_PER_UNIT, FARTHEST_Z / MM_PER_UNIT
    for column, low, high, range_ in (
        (0, 0.0, math.inf, "≥ 0"),
        (1, -HALF_TURN, HALF_TURN, "within [-1, 1]"),
        (0, 0.0, far_r, f"at most {far_r:g}"),
        (2, -far_z, far_z, f"within [-{far_z:g}, {far_z:g}]"),
    ):
        if least[column] < low or most[column] > high:
            values = columns[column]
            row = int(((values < low) | (values > high)).argmax())
            in_radians = column == 1 and least[0] >= 0.0 and abs(values).max() <= HALF_TURN * math.pi
            meant = "is it in radians?" if in_radians else "positions in mm are given as x, y, z: in CSV under a header"
            found = f"found {float(values[row]):g} in row {row + first_row}"
            raise UnitsError(f"{name}: column '{FEATURE_COLUMNS[column]}' must be {range_}, {found}; {meant}")


def check_embedding_form(embedding: Array, spec: TensorSpec) -> None:
    """Refuse an embedding that is not FP32 [N,D] with at least one column and at most `MAX_NODES` rows.

    Raises:
        ContractError: with the form expected and the one found.
    """
    check_tensor(embedding, spec)
    rows, columns = embedding.shape
    if columns < 1:
        raise ContractError(f"{spec.name}: expected at least 1 column, found {columns}")
    if rows > MAX_NODES:
        raise ContractError(f"{spec.name}: expected at most {MAX_NODES} rows, found {rows}")


def check_edge_index(edge_index: Array, num_nodes: int | None, name: str) -> None:
    """Refuse a [2,E] edge index with an entry outside [0, `num_nodes`), or a negative one where N is not known.

    Raises:
        ContractError: with the first entry, by column, that is out of range.
    """
    if edge_index.shape[1] == 0:
        return
    bad = (edge_index < 0).any(axis=0) if num_nodes is None else _outside(edge_index, num_nodes)
    if not bad.any():
        return
    column = int(bad.argmax())
    pair = [int(edge_index[0, column]), int(edge_index[1, column])]
    wrong = next(entry for entry in pair if entry < 0 or (num_nodes is not None and entry >= num_nodes))
    allowed = "must not be negative" if num_nodes is None else f"must be in [0, {num_nodes})"
    raise ContractError(f"{name}: entries {allowed}, found {wrong} at column {column}")


def check_scores_form(scores: Array, num_edges: int, spec: TensorSpec) -> Array:
    """The scores as [E], from [E] or [E,1]; never squeezed, so that one edge stays one edge.

    Raises:
        ContractError: the scores are not of the contract's type, or not one per edge.
    """
    shape = tuple(getattr(scores, "shape", ()))
    if shape[1:] == (1,):
        scores = scores.reshape(-1)
    check_tensor(scores, spec)
    if len(scores) != num_edges:
        raise ContractError(f"{spec.name}: expected one entry for each of {num_edges} edges, found {len(scores)}")
    return scores


def check_one_device(edge_index: Array, scores: Array, name: str) -> None:
    """Refuse scores that are not where the edges are: both in NumPy, or both in CuPy on one GPU.

    Raises:
        ContractError: saying where each is.
    """
    if type(edge_index) is type(scores) and not on_gpu(scores):
        return
    places = [f"GPU {array.device.id}" if on_gpu(array) else "the CPU" for array in (edge_index, scores)]
    if places[0] != places[1]:
        raise ContractError(f"{name}: expected on {places[0]}, where the edges are, found on {places[1]}")


def check_no_nan(scores: Array, name: str) -> None:
    """Refuse scores [E] with a NaN among them.

    Raises:
        ContractError: with the first such entry.
    """
    bad = scores != scores  # noqa: PLR0124 - true for NaN alone, in NumPy and in CuPy
    if bad.any():
        raise ContractError(f"{name}: entries must be numbers, found nan at entry {int(bad.argmax())}")


def check_num_nodes(num_nodes: object, name: str) -> int:
    """The number of spacepoints as an int in [0, `MAX_NODES`].

    Raises:
        ContractError: it is not a whole number, negative or too large.
    """
    try:
        count = operator.index(cast("SupportsIndex", num_nodes))
    except TypeError:
        raise ContractError(f"{name}: expected a whole number, found {num_nodes!r}") from None
    if not 0 <= count <= MAX_NODES:
        raise ContractError(f"{name}: must be in [0, {MAX_NODES}], found {count}")
    return count


def check_scored_graph(edge_index: Array, scores: Array, num_nodes: object, min_hits: int) -> tuple[Array, int]:
    """The scores as [E] and the number of spacepoints, of a graph that the last stage can look at.

    Raises:
        ContractError: a type or shape is not the contract's, the two are not in one place, or a number is out of range.
    """
    count = check_num_nodes(num_nodes, _NUM_NODES.name)
    check_at_least_one(min_hits=min_hits)
    check_tensor(edge_index, _SCORED_EDGES)
    scores = check_scores_form(scores, edge_index.shape[1], _SCORES)
    check_one_device(edge_index, scores, _SCORES.name)
    return scores, count


def check_scored_entries(edge_index: Array, scores: Array, num_nodes: int) -> None:
    """Refuse a NaN among the scores, and an index outside [0, `num_nodes`).

    Raises:
        ContractError: with the first that is found.
    """
    check_no_nan(scores, _SCORES.name)
    check_edge_index(edge_index, num_nodes, _SCORED_EDGES.name)


def check_at_least_one(**parameters: int) -> None:
    """Refuse caps and minima below 1.

    Raises:
        ContractError: naming the parameter.
    """
    for name, value in parameters.items():
        if value < 1:
            raise ContractError(f"{name} must be at least 1, found {value}")


def check_radius(radius: float) -> None:
    """Refuse a radius that is not positive and finite.

    Raises:
        ContractError: with the radius found.
    """
    if not (math.isfinite(radius) and radius > 0):
        raise ContractError(f"radius must be positive and finite, found {radius}")


def too_large(name: str, num_nodes: int, max_edges: int, found: int) -> GraphTooLargeError:
    """The refusal of a graph with more than `max_edges` edges; `found` are fewer than all where the search ended."""
    return GraphTooLargeError(
        f"{name}: more than max_edges = {max_edges} edges among {num_nodes} spacepoints, found at least {found}"
    )


def _form(spec: TensorSpec) -> str:
    return f"{spec.datatype} [{','.join(str(size) for size in spec.dims)}]"


def _outside(edge_index: Array, num_nodes: int) -> Array:
    return ((edge_index < 0) | (edge_index >= num_nodes)).any(axis=0)
