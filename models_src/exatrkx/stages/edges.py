"""Edges of the graph: the graph construction that makes them, and the selection of those whose score is above a cut."""

from __future__ import annotations

import functools
import importlib.util
import pkgutil
from typing import TYPE_CHECKING, Final

import numpy as np

from exatrkx import checks
from exatrkx.arrays import Array, on_gpu
from exatrkx.contract import APPLYFILTER, FRNN
from exatrkx.errors import ContractError
from exatrkx.stages import cuda, native
from exatrkx.working_point import FIXED_RADIUS, WorkingPoint, logit

if TYPE_CHECKING:
    from collections.abc import Callable

    GraphConstruction = Callable[..., Array]

_EMBEDDING: Final = FRNN.input("EMBEDDING")
_EDGE_INDEX, _SCORES = APPLYFILTER.input("EDGE_INDEX"), APPLYFILTER.input("EDGE_SCORES")


def fixed_radius_edges(embedding: Array, *, radius: float, max_neighbors: int, max_edges: int) -> Array:
    """The graph of spacepoints that are near in the embedding space.

    With d² the sum over the dimensions, in their order, of the squared FP64 differences of the FP32 coordinates, a
    pair is an edge when d² < radius² and for at least one of its ends fewer than `max_neighbors` other points are
    strictly closer than the other end is. So points that tie at the `max_neighbors`-th distance are all kept, and the
    graph depends on the order of the spacepoints by relabelling only.

    Args:
        embedding: [N,D] FP32, NumPy or CuPy; N ≥ 0, D ≥ 1.
        radius: in units of the embedding space.
        max_neighbors: cap on the nearest that each point keeps; a pair needs only one of its ends to keep it.
        max_edges: most edges that the graph may have.

    Returns:
        [2,E] INT64 on the embedding's device: each pair once, row 0 > row 1, sorted by row 0, then by row 1.

    Raises:
        ContractError: the embedding is not FP32 [N,D], or has a NaN or an infinity; a parameter is out of range.
        GraphTooLargeError: there are more than `max_edges` edges; raised before memory is spent on them.

    Source: the fixed-radius near-neighbour graph of the Exa.TrkX pipeline (Ju et al., Eur. Phys. J. C 81 (2021) 876),
    with a cap that does not depend on the order of the points.
    """
    checks.check_radius(radius)
    checks.check_at_least_one(max_neighbors=max_neighbors, max_edges=max_edges)
    checks.check_embedding_form(embedding, _EMBEDDING)
    if on_gpu(embedding):
        return cuda.fixed_radius_edges(embedding, radius=radius, max_neighbors=max_neighbors, max_edges=max_edges)
    if native.available():
        return native.fixed_radius_edges(embedding, radius=radius, max_neighbors=max_neighbors, max_edges=max_edges)
    from exatrkx.stages import reference  # noqa: PLC0415 - of no use to the compiled search, and SciPy takes its time

    checks.check_finite(embedding, _EMBEDDING.name)
    return reference.fixed_radius_edges(embedding, radius=radius, max_neighbors=max_neighbors, max_edges=max_edges)


GRAPH_CONSTRUCTIONS: Final[dict[str, GraphConstruction]] = {FIXED_RADIUS: fixed_radius_edges}
"""Graph constructions by name: each takes and returns what `fixed_radius_edges` does. The place to register another."""


@functools.cache
def graph_construction(name: str) -> GraphConstruction:
    """The graph construction of a working point: one that is registered, `module:function`, or `/file.py:function`.

    Raises:
        ContractError: it is none of these.
    """
    if name in GRAPH_CONSTRUCTIONS:
        return GRAPH_CONSTRUCTIONS[name]
    if ":" not in name:
        known = ", ".join(GRAPH_CONSTRUCTIONS)
        raise ContractError(f"graph_construction must be one of {known}, or module:function, found {name!r}")
    source, _, function = name.rpartition(":")
    try:
        found = _in_file(source, function) if source.endswith(".py") else pkgutil.resolve_name(name)
    except Exception as error:  # whatever a user's module raises
        raise ContractError(f"graph_construction {name!r} cannot be imported: {error}") from error
    if not callable(found):
        raise ContractError(f"graph_construction {name!r} is no function, but {type(found).__name__}")
    construct: GraphConstruction = found
    return construct


def _in_file(source: str, function: str) -> object:
    if not source.startswith("/"):
        raise ValueError("expected the file's path from /, for a server works in another folder")
    spec = importlib.util.spec_from_file_location("graph_construction", source)
    assert spec is not None
    assert spec.loader is not None  # of a name that ends in .py
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, function)


def graph_edges(embedding: Array, cuts: WorkingPoint) -> Array:
    """The graph of spacepoints by the working point's `graph_construction`; shapes are those of `fixed_radius_edges`.

    What another construction gives is looked at: later stages rely on it.

    Raises:
        ContractError: the embedding is not FP32 [N,D] and finite; or there is no such construction.
        GraphTooLargeError: there are more than `max_edges` edges.
        ValueError: the construction gives something else than edges as `fixed_radius_edges` does.
    """
    construct = graph_construction(cuts.graph_construction)
    caps = {"max_neighbors": cuts.max_neighbors, "max_edges": cuts.max_edges}
    if construct is fixed_radius_edges:
        return construct(embedding, radius=cuts.radius, **caps)
    checks.check_embedding_form(embedding, _EMBEDDING)
    checks.check_finite(embedding, _EMBEDDING.name)
    edges = construct(embedding, radius=cuts.radius, **caps)
    try:
        _check_edges(edges, embedding)
    except ContractError as error:  # not the event's fault
        raise ValueError(f"graph_construction {cuts.graph_construction}: {error}") from error
    if edges.shape[1] > cuts.max_edges:
        raise checks.too_large(_EMBEDDING.name, len(embedding), cuts.max_edges, edges.shape[1])
    return edges


def _check_edges(edges: Array, embedding: Array) -> None:
    """Refuse anything but [2,E] INT64 beside the embedding: pairs in its range, each once, larger first, sorted."""
    spec = FRNN.output("EDGE_INDEX")
    checks.check_tensor(edges, spec)
    checks.check_one_device(embedding, edges, spec.name)
    checks.check_edge_index(edges, len(embedding), spec.name)
    first, second = edges
    place = first * len(embedding) + second
    bad = first <= second
    bad[1:] |= place[1:] <= place[:-1]
    if bad.any():
        column = int(bad.argmax())
        raise ContractError(
            f"{spec.name}: expected each pair once, the larger index first, sorted by it and then by the smaller one, "
            f"found [{int(first[column])}, {int(second[column])}] at column {column}"
        )


@functools.lru_cache(maxsize=64)  # asked for with every event, and always of the same few cuts
def score_threshold(cut: float) -> np.float32:
    """The largest FP32 number not above logit(cut): an FP32 score exceeds the logit if and only if it exceeds this.

    So every implementation compares FP32 with FP32 and none rounds the cut in a way of its own.
    """
    exact = logit(cut)
    rounded = np.float32(exact)
    return rounded if float(rounded) <= exact else np.nextafter(rounded, np.float32(-np.inf))


def select_edges(edge_index: Array, scores: Array, *, cut: float) -> Array:
    """The edges whose score is strictly above logit(cut), in the order in which they came.

    Args:
        edge_index: [2,E] INT64, NumPy or CuPy.
        scores: [E] or [E,1] FP32 logits on the same device. ±∞ are scores like any other.
        cut: probability in [0, 1]; 0 keeps every score above −∞, 1 keeps none.

    Returns:
        [2,E'] INT64 on the device of `edge_index`.

    Raises:
        ContractError: wrong type or shape, scores and edges of different number, a NaN score, a negative index.
    """
    checks.check_tensor(edge_index, _EDGE_INDEX)
    scores = checks.check_scores_form(scores, edge_index.shape[1], _SCORES)
    checks.check_one_device(edge_index, scores, _SCORES.name)
    threshold = score_threshold(cut)
    if on_gpu(edge_index):
        import cupy  # noqa: PLC0415 - only where a CuPy array has come in

        with edge_index.device:
            selected = cuda.selected_edges(cupy, cuda.launch, edge_index, scores, threshold)
        if selected is not None:
            return selected
    elif native.available():
        return native.select_edges(edge_index, scores, threshold=threshold)
    checks.check_no_nan(scores, _SCORES.name)
    checks.check_edge_index(edge_index, None, _EDGE_INDEX.name)
    return edge_index.take((scores > threshold).nonzero()[0], axis=1)
