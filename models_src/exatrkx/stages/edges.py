"""Edge selection: the edges whose score is above a cut go on to the next stage."""

from __future__ import annotations

import functools

import numpy as np

from exatrkx import checks
from exatrkx.arrays import Array, on_gpu
from exatrkx.contract import APPLYFILTER
from exatrkx.stages import native
from exatrkx.working_point import logit


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
    index_spec, scores_spec = APPLYFILTER.input("EDGE_INDEX"), APPLYFILTER.input("EDGE_SCORES")
    checks.check_tensor(edge_index, index_spec)
    scores = checks.check_scores_form(scores, edge_index.shape[1], scores_spec)
    checks.check_one_device(edge_index, scores, scores_spec.name)
    threshold = score_threshold(cut)
    if not on_gpu(edge_index) and native.available():
        return native.select_edges(edge_index, scores, threshold=threshold)
    checks.check_no_nan(scores, scores_spec.name)
    checks.check_edge_index(edge_index, None, index_spec.name)
    return edge_index.take((scores > threshold).nonzero()[0], axis=1)
