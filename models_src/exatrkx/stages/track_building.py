"""Track building: connected components, or greedy edge contraction (GAEC) where tracks are close; track completion.

A component needs one wrong edge to become two tracks. In contraction every edge is a witness, for its ends being one
track where its score is above the cut and against it where it is below: the two clusters with the largest sum of logits
(less the cut's) between them are joined, again and again while that sum is above zero.
So a wrong edge must outweigh all that the edges around it say. The sums are log-likelihood ratios if the scores are
calibrated logits of independent edges, and the partition is then close to the likeliest one, the minimum cost multicut.

Source: Keuper et al., ICCV 2015 (arXiv:1505.06973), algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from exatrkx import checks
from exatrkx.arrays import Array, on_gpu
from exatrkx.contract import NUM_FEATURES, WCC
from exatrkx.errors import ContractError
from exatrkx.stages import native, reference, reference_completion
from exatrkx.stages.cuda import THREADS, Launch, blocks_for, launch
from exatrkx.stages.edges import score_threshold
from exatrkx.working_point import COMPONENTS, CONTRACTION

if TYPE_CHECKING:
    from exatrkx.working_point import WorkingPoint


def label_components(edge_index: Array, scores: Array, num_nodes: int, *, cut: float, min_hits: int) -> Array:
    """The track candidate of each spacepoint.

    Args:
        edge_index: [2,E] INT64, NumPy or CuPy, entries in [0, N).
        scores: [E] or [E,1] FP32 logits on the same device; an edge counts when its score is above logit(cut).
        num_nodes: N, the number of spacepoints in the event; never inferred from the edges.
        cut: probability in [0, 1].
        min_hits: spacepoints that a component needs to be a track candidate.

    Returns:
        [N] INT64 labels on the device of `edge_index`: −1 for a spacepoint whose component has fewer than `min_hits`
        members, else 0, 1, 2, … in the order of the candidates' smallest spacepoint index.

    Raises:
        ContractError: wrong type or shape, scores and edges of different number, a NaN score, an index outside [0, N).
    """
    scores, num_nodes = checks.check_scored_graph(edge_index, scores, num_nodes, min_hits)
    threshold = score_threshold(cut)
    if on_gpu(edge_index):
        return _labels_on_gpu(edge_index, scores, num_nodes, threshold, min_hits, contract=False)
    if native.available():
        return native.label_components(edge_index, scores, num_nodes, threshold=threshold, min_hits=min_hits)
    checks.check_scored_entries(edge_index, scores, num_nodes)
    kept = edge_index[:, scores > threshold]
    return reference.label_components(kept, num_nodes, min_hits)


def label_clusters(edge_index: Array, scores: Array, num_nodes: int, *, cut: float, min_hits: int) -> Array:
    """The track candidate of each spacepoint; arguments, labels and errors as of `label_components`.

    Every cluster is part of a component at the same cut, and a component with no edge below the cut is one cluster.
    Of two equal sums that of the smallest indices goes first; without such ties the candidates do not depend on the
    order of the spacepoints. On a GPU too, but for the few components that are too large for one of its blocks: their
    edges, and no others, are copied to the CPU.

    Infinite scores count as ±10⁶, so that sums are numbers. At a cut of 0 or 1 nothing can be weighed, and clusters are
    components.
    """
    scores, num_nodes = checks.check_scored_graph(edge_index, scores, num_nodes, min_hits)
    threshold = score_threshold(cut)
    if on_gpu(edge_index):
        # At an infinite threshold nothing can be weighed.
        contract = math.isfinite(threshold)
        return _labels_on_gpu(edge_index, scores, num_nodes, threshold, min_hits, contract=contract)
    return _clusters_on_host(edge_index, scores, num_nodes, threshold=threshold, min_hits=min_hits)


def _clusters_on_host(
    edge_index: Array, scores: Array, num_nodes: int, *, threshold: np.float32, min_hits: int = 1
) -> Array:
    if native.available():
        return native.label_clusters(edge_index, scores, num_nodes, threshold=threshold, min_hits=min_hits)
    checks.check_scored_entries(edge_index, scores, num_nodes)
    return reference.label_clusters(edge_index, scores, num_nodes, float(threshold), min_hits)


def _labels_on_gpu(
    edge_index: Array, scores: Array, num_nodes: int, threshold: np.float32, min_hits: int, *, contract: bool
) -> Array:
    import cupy  # noqa: PLC0415 - only where a CuPy array has come in

    with edge_index.device:
        graph = cupy.ascontiguousarray(edge_index), cupy.ascontiguousarray(scores)
        building = KernelTrackBuilding(cupy, launch, *graph, num_nodes, threshold)
        return building.labels(min_hits, partial(_clusters_on_host, threshold=threshold) if contract else None)


def complete_tracks(features: Array | None, labels: Array, cuts: WorkingPoint) -> Array:
    """Track completion: outlier removal, merging of a candidate's pieces, extension and hole recovery by local helices.

    Networks leave out a spacepoint to which an edge is missing, take a wrong one, and leave a track in pieces where a
    layer gave no hit. Five neighbouring hits of a candidate give a helix (a parabola in the transverse plane, a line in
    z along its arc), which says where further hits are. Looked through is each segment between two of its hits, and
    before the first and behind the last as far as `completion_reach`, never past the beam line.

    What is expected at distance d along the track from the nearest hit has two standard deviations. The transverse one,
    σₜ, is that to which a parabola through equally spaced hits of resolution `hit_resolution` extrapolates, and
    multiple scattering: d · `scattering_length` / R at a radius of curvature R, an angle that falls with the momentum.
    The longitudinal one, σₗ, is that of a line through pixels three times as long as wide, the same scattering, and the
    coarse coordinate of strips, `strip_resolution` · (r / 1 m)² at the farther one of both hits; a tenth of that counts
    for σₜ on a disc, where strips are not quite radial.

    1. A particle leaves one hit on a module. Two that follow one another are on one where they are within 0.3 mm along
       the track in the transverse plane, and where it runs along the beam (|η| > 1.1), within 0.01 mm of z. Of five
       hits and more the one is dropped that is farther from the helix of the others; then those that are more than 8 σ
       from it, the farthest first; half of a strip may lie across the track, and a module be 0.05 mm from where it is
       taken to be.
    2. Candidates each of which has the other's end on its helix are merged, the best pairs first. A spacepoint is on a
       helix when its χ² of the two terms is at most `completion_sigmas`², and, of F free spacepoints in the event,
       F σₜ σₗ (1 + χ²) / r², for the number that fit as well by chance, at most `max_chance`, and it is not on the
       module of the nearest hit. All of one candidate must be within one segment of the other: what runs side by side
       are two tracks.
    3. Free spacepoints are added, the best first, one for each segment.
    4. What has changed is looked at again, from 2 on, until nothing does. The best has the smallest σₜ σₗ (1 + χ²).
    5. Candidates with fewer than `min_track_hits` spacepoints are dropped, for a track has five parameters; and then
       their spacepoints are looked for as in 3 and 4.

    Candidates of more than 100 spacepoints are no helix, and left as they are.

    Nothing depends on the order of edges or spacepoints, but for those at one and the same place. The networks' scores
    have spoken before, in the candidates; no edge is needed here, for most that are missing were never proposed.

    Args:
        features: [N,3] FP32 (r / 1000 mm, φ / π, z / 1000 mm), NumPy or CuPy.
        labels: [N] INT64 as `exatrkx.stages.track_building` gives them.
        cuts: the working point; at a `completion_reach` of 0 the labels are returned as they are.

    Returns:
        [N] INT64 labels, 0, 1, 2, … in the order of the candidates' smallest spacepoint index, and −1 for spacepoints
        on none. Of arrays on a GPU the work is done on the host: features and labels are copied there, the labels back.
        (The engine in C++ has kernels for it, backends/exatrkx/engine/gpu/completion.cu.)

    Raises:
        ContractError: there are no features, or not finite FP32 ones for each spacepoint.

    Source: V. L. Highland, Nucl. Instrum. Meth. 129 (1975) 497, for the scattering; least squares for the rest.
    """
    if cuts.completion_reach <= 0.0:
        return labels
    if features is None:
        raise ContractError(f"{_FEATURES.name}: expected {_FEATURES}, found no such input")
    checks.check_tensor(features, _FEATURES)
    if len(features) != len(labels):
        raise ContractError(
            f"{_FEATURES.name}: expected one row for each of {len(labels)} spacepoints, found {len(features)}"
        )
    checks.check_finite(features, _FEATURES.name)
    if on_gpu(labels):
        import cupy  # noqa: PLC0415 - only where a CuPy array has come in

        with labels.device:
            return cupy.asarray(_completed_on_host(cupy.asnumpy(features), labels.get(), cuts))
    return _completed_on_host(features, labels, cuts)


def _completed_on_host(features: Array, labels: Array, cuts: WorkingPoint) -> Array:
    if native.available():
        return native.complete_tracks(features, labels, cuts)
    return reference_completion.complete_tracks(features, labels, cuts)


_FEATURES: Final = WCC.input("FEATURES")
_METHODS: Final = {COMPONENTS: label_components, CONTRACTION: label_clusters}


def label_tracks(
    edge_index: Array, scores: Array, num_nodes: int, cuts: WorkingPoint, features: Array | None = None
) -> Array:
    """The track candidate of each spacepoint at the working point's `gnn_cut`, `min_hits` and `track_building`.

    Shapes, labels and errors are those of `label_components`, and with `features` [N,F] FP32, of which only track
    completion needs something, the position in the first three columns, those of `complete_tracks`.
    """
    method = _METHODS[cuts.track_building]
    labels = method(edge_index, scores, num_nodes, cut=cuts.gnn_cut, min_hits=cuts.min_hits)
    return complete_tracks(features if features is None else features[..., :NUM_FEATURES], labels, cuts)


IntArray: TypeAlias = npt.NDArray[np.int64]
ClustersOnHost: TypeAlias = Callable[[IntArray, npt.NDArray[np.float32], int], IntArray]
"""([2,E] edges, [E] scores, N) -> [N] the cluster of each node, 0, 1, 2, … in the order of their smallest nodes."""

_CONTRACTING_BLOCKS: Final = 1024
"""Each decides one component after the other: enough for every multiprocessor to have several."""
_LEFT: Final = 1
"""In `disputed`, of a component that no block has decided."""
_STATE: Final = 4
"""Words of what the kernels note, see scored_edges.cuh."""


@dataclass(frozen=True, slots=True)
class KernelTrackBuilding:
    """Track building of a graph by the kernels of components.cu and contraction.cu.

    The host waits for the GPU once: for what the kernels have noted of entries that are not the contract's, and of
    components that are left to the CPU.

    Attributes:
        xp: the module of the arrays: CuPy, which ships no types.
        launch: starts a kernel.
        edge_index: [2,E] INT64, contiguous.
        scores: [E] FP32, contiguous.
        num_nodes: N.
        threshold: an edge joins its ends when its score is above.
    """

    xp: Any
    launch: Launch
    edge_index: Array
    scores: Array
    num_nodes: int
    threshold: np.float32

    def labels(self, min_hits: int, clusters_on_host: ClustersOnHost | None = None) -> Array:
        """[N] labels of components, or of clusters where there is a function for those that the kernels leave.

        Raises:
            ContractError: a NaN score, an index outside [0, N).
        """
        xp, graph, count = self.xp, self._graph, np.int32(self.num_nodes)
        zeros = xp.zeros(_STATE + 2 * self.num_nodes, dtype=np.int32)
        state = zeros[:_STATE]
        size, disputed = zeros[_STATE:].reshape(2, self.num_nodes)
        parent = xp.empty(self.num_nodes, dtype=np.int32)
        self._for_each(max(self.num_nodes, len(self.scores)), "check_entries", *graph, count, state, parent)
        self._for_each(len(self.scores), "join_edges", *graph, self.threshold, state, parent)
        root = self._roots(parent, size)
        if clusters_on_host is not None:
            self._contract(state, root, size, disputed)
            size.fill(0)
            root = self._roots(root, size)
        labels = self._numbered(root, size, min_hits)
        bad, _, _, left = state.tolist()
        if bad:
            checks.check_scored_entries(self.edge_index, self.scores, self.num_nodes)
        if clusters_on_host is not None and left:
            self._contract_on_host(clusters_on_host, root, disputed[root] == _LEFT)
            size.fill(0)
            labels = self._numbered(self._roots(root, size), size, min_hits)
        return labels

    @property
    def _graph(self) -> tuple[Array, Array, np.int64]:
        return self.edge_index, self.scores, np.int64(len(self.scores))

    def _for_each(self, items: int, kernel: str, *arguments: object) -> None:
        self.launch(kernel, blocks_for(items), THREADS, *arguments)

    def _roots(self, parent: Array, size: Array) -> Array:
        """[N] INT32 the smallest node of each node's set, whose size is added to that of the root."""
        root = self.xp.empty_like(parent)
        self._for_each(self.num_nodes, "find_roots", parent, np.int32(self.num_nodes), root, size)
        return root

    def _numbered(self, root: Array, size: Array, min_hits: int) -> Array:
        """[N] labels of the sets with so many nodes."""
        xp, count = self.xp, np.int32(self.num_nodes)
        marked, labels = xp.empty_like(root), xp.empty(self.num_nodes, dtype=np.int64)
        least = np.int32(min(min_hits, self.num_nodes + 1))
        self._for_each(self.num_nodes, "mark_candidates", count, root, size, least, marked)
        end = xp.cumsum(marked, dtype=np.int32)
        self._for_each(self.num_nodes, "number_tracks", count, root, marked, end, labels)
        return labels

    def _contract(self, state: Array, root: Array, size: Array, disputed: Array) -> None:
        """Make `root` that of clusters, and `disputed` `_LEFT` at the root of each component that is left."""
        xp, graph, num_nodes, num_edges = self.xp, self._graph, self.num_nodes, len(self.scores)
        count = np.int32(num_nodes)
        inside, edge_end = xp.zeros((2, num_nodes + 1), dtype=np.uint64)
        listed, member_end, members = xp.empty((3, num_nodes), dtype=np.int32)
        lists = (member_end, members, edge_end, xp.empty(num_edges, dtype=np.int64))
        found = (inside, disputed)
        self._for_each(num_edges, "find_disputed", *graph, self.threshold, state, root, *found)
        of_nodes = (count, root, size, *found, state, listed)
        self._for_each(num_nodes, "list_disputed", *of_nodes, member_end, edge_end)
        self._for_each(max(num_nodes, num_edges), "gather_disputed", *graph, count, state, root, disputed, *lists)
        component = (listed, size, inside, *lists)
        blocks = min(num_nodes, _CONTRACTING_BLOCKS)
        self.launch("contract_components", blocks, THREADS, *graph, self.threshold, *component, state, disputed, root)

    def _contract_on_host(self, clusters_on_host: ClustersOnHost, root: Array, left: Array) -> None:
        """Make `root` that of clusters where `left` [N] says so: of the graph, no more is copied."""
        row, column = self.edge_index
        inside = self.xp.flatnonzero(left[row] & (root[row] == root[column]))
        nodes = self.xp.flatnonzero(left)
        edges = np.searchsorted(_on_host(nodes), _on_host(self.edge_index.take(inside, axis=1)))
        labels = clusters_on_host(edges, _on_host(self.scores.take(inside)), len(nodes))
        _, smallest = np.unique(labels, return_index=True)
        root[nodes] = nodes[self.xp.asarray(smallest[labels])].astype(np.int32)


def _on_host(array: Array) -> Any:
    return array.get() if on_gpu(array) else array
