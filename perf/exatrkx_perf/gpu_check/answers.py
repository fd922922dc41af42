"""The pipeline's answers on a GPU beside the CPU's, event by event, and from run to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from exatrkx_perf import MODEL_REPOSITORY
from exatrkx_perf.direct import load_pipeline
from exatrkx_perf.gpu_check.events import SMALL_EVENT, small_and_large

if TYPE_CHECKING:
    import numpy.typing as npt

    from exatrkx.pipeline import Pipeline
    from exatrkx_perf.events import FeatureArray
    from exatrkx_perf.gpu_check.events import Check

REPEATS: Final = 5
QUANTILES: Final = (0.5, 0.99, 1.0)
ANSWERS: Final = "answers.npz"
"""The CPU's labels of each event, for the phases that ask servers."""


# What "the same answer" means on a GPU: some three times the spread over 23 events on an H100 and an H200
# (perf/gpu/). Sums in another order and other roundings of exp and atan2 move every score a little, and those of rare
# edges, near a pole of a feature, by as much as 0.24: so nothing bounds the largest.
LARGEST_MEDIAN: Final = 3e-5
"""Of |difference of a score to the CPU's|, over the edges of an event; 1.0e-5 at most was found."""
LARGEST_99TH_PERCENTILE: Final = 3e-3
"""Of the same; 1.1e-3 at most was found."""
LARGEST_REPEAT: Final = 5e-5
"""Of |difference of a score between two runs| on the same GPU; 1.5e-5 at most was found."""
MOST_CHANGED_EDGES: Final = 1e-5
"""Of the edges of an event those that only one of GPU and CPU kept, and two more; 2 of a million at most were found."""


def beyond_bounds(row: dict[str, Any]) -> list[str]:
    """What is not the same answer in a row of `compare_answers`: other labels, scores and edges beyond the bounds."""
    median, percentile, _ = row["score_difference"]
    changed = 2 + MOST_CHANGED_EDGES * row["edges"]
    limits = (
        ("labels that differ", row["labels_changed"], 0),
        ("median difference of scores", median, LARGEST_MEDIAN),
        ("99th percentile of differences of scores", percentile, LARGEST_99TH_PERCENTILE),
        ("largest difference of scores between runs", row["score_repeat"], LARGEST_REPEAT),
        ("edges that one of both kept", row["filter_changes"], changed),
    )
    event = f"{row['spacepoints']} spacepoints"
    return [f"{event}: {what}: {found:g}, at most {most:g}" for what, found, most in limits if not found <= most]


@dataclass(frozen=True, slots=True)
class Found:
    """What one run of the pipeline found, on the host."""

    labels: npt.NDArray[np.int64]
    neighbour_edges: npt.NDArray[np.int64]
    edge_index: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


def compare_answers(check: Check) -> list[dict[str, Any]]:
    """Run every event on the CPU once and on the device `REPEATS` times; writes the CPU's labels, and a small event.

    Returns:
        For each event spacepoints, and tracks on the CPU; whether labels, neighbours and edges were equal each time;
        `score_difference`, quantiles `QUANTILES` of |difference to the CPU| over the edges of both, and `score_repeat`,
        the largest difference between two repeats; how many edges only one of them kept (`filter_changes`), had above
        the GNN's cut (`gnn_crossings`), and how many labels differ, in the worst repeat.
    """
    arrays = check.arrays()
    np.savetxt(check.output / SMALL_EVENT, next(iter(small_and_large(arrays).values())), "%.9g", ",")
    on_cpu, on_device = load_pipeline(MODEL_REPOSITORY, "cpu"), load_pipeline(MODEL_REPOSITORY, check.device)
    threshold = float(np.log(on_cpu.working_point.gnn_cut / (1 - on_cpu.working_point.gnn_cut)))
    expected = [_run(on_cpu, array) for array in arrays]
    labels: dict[str, Any] = {f"labels{number}": found.labels for number, found in enumerate(expected)}
    np.savez(check.output / ANSWERS, **labels)
    rows = []
    for array, reference in zip(arrays, expected, strict=True):
        repeats = [_run(on_device, array) for _ in range(REPEATS)]
        rows.append(_compare(reference, repeats, threshold))
    return rows


def _run(pipeline: Pipeline, features: FeatureArray) -> Found:
    tracks = pipeline(features)
    arrays = (tracks.labels, tracks.neighbour_edges, tracks.edge_index, tracks.edge_scores)
    return Found(*(array if isinstance(array, np.ndarray) else array.get() for array in arrays))


def _compare(reference: Found, repeats: list[Found], threshold: float) -> dict[str, Any]:
    common = [_common_scores(reference, found) for found in repeats]
    differences = [np.abs(one - other) for one, other in common]
    quantiles = np.array([np.quantile(d, QUANTILES) if d.size else np.zeros(len(QUANTILES)) for d in differences])
    between = [np.abs(np.subtract(*_common_scores(repeats[0], found))).max(initial=0.0) for found in repeats[1:]]
    return {
        "spacepoints": len(reference.labels),
        "edges": reference.edge_index.shape[1],
        "tracks": int(reference.labels.max(initial=-1)) + 1,
        "labels_equal": all(np.array_equal(reference.labels, found.labels) for found in repeats),
        "neighbours_equal": all(np.array_equal(reference.neighbour_edges, found.neighbour_edges) for found in repeats),
        "edges_equal": all(np.array_equal(reference.edge_index, found.edge_index) for found in repeats),
        "score_difference": quantiles.max(axis=0).tolist(),
        "score_repeat": float(max(between)),
        "filter_changes": max(len(np.setxor1d(_keys(reference), _keys(found))) for found in repeats),
        "gnn_crossings": max(int(((one > threshold) != (other > threshold)).sum()) for one, other in common),
        "labels_changed": max(int((reference.labels != found.labels).sum()) for found in repeats),
    }


def _keys(found: Found) -> npt.NDArray[np.int64]:
    keys: npt.NDArray[np.int64] = found.edge_index[0] * len(found.labels) + found.edge_index[1]
    return keys


def _common_scores(one: Found, other: Found) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Both scores of each edge that both have."""
    _, first, second = np.intersect1d(_keys(one), _keys(other), return_indices=True)
    return one.scores[first], other.scores[second]
