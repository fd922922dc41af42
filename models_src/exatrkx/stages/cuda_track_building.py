"""CUDA form of track building, through CuPy: connected components by union-find, contraction component by component.

The host waits for the GPU once: for what the kernels have noted of entries that are not the contract's, and of
components that are left to the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from exatrkx.arrays import Array, on_gpu
from exatrkx.checks import check_scored_entries
from exatrkx.contract import NOISE_LABEL
from exatrkx.stages.cuda import THREADS, Launch, blocks_for

IntArray: TypeAlias = npt.NDArray[np.int64]
ClustersOnHost: TypeAlias = Callable[[IntArray, npt.NDArray[np.float32], int], IntArray]
"""([2,E] edges, [E] scores, N) -> [N] the cluster of each node, 0, 1, 2, … in the order of their smallest nodes."""

_CONTRACTING_BLOCKS: Final = 1024
"""Each decides one component after the other: enough for every multiprocessor to have several."""
_LEFT: Final = 1
"""In `disputed`, of a component that no block has decided."""


@dataclass(frozen=True, slots=True)
class KernelTrackBuilding:
    """Track building of a graph by the kernels of components.cu and contraction.cu.

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
        xp, graph = self.xp, self._graph
        nodes = xp.arange(self.num_nodes, dtype=np.int32)
        parent, state = nodes.copy(), xp.zeros(4, dtype=np.int32)
        self._for_each(len(self.scores), "check_entries", *graph, np.int32(self.num_nodes), state)
        self._for_each(len(self.scores), "join_edges", *graph, self.threshold, state, parent)
        root, size = self._roots(parent)
        disputed = None if clusters_on_host is None else self._contract(state, root, size)
        bad, _, _, left = state.tolist()
        if bad:
            check_scored_entries(self.edge_index, self.scores, self.num_nodes)
        if clusters_on_host is not None and disputed is not None:
            if left:
                self._contract_on_host(clusters_on_host, root, disputed[root] == _LEFT)
            root, size = self._roots(root)
        is_candidate = (root == nodes) & (size >= min(min_hits, self.num_nodes + 1))
        label_of_root = xp.where(is_candidate, xp.cumsum(is_candidate) - 1, NOISE_LABEL)
        return label_of_root[root].astype(np.int64, copy=False)

    @property
    def _graph(self) -> tuple[Array, Array, np.int64]:
        return self.edge_index, self.scores, np.int64(len(self.scores))

    def _for_each(self, items: int, kernel: str, *arguments: object) -> None:
        self.launch(kernel, blocks_for(items), THREADS, *arguments)

    def _roots(self, parent: Array) -> tuple[Array, Array]:
        """[N] INT32 the smallest node of each node's set, and [N] INT32 the number of nodes in the set of each root."""
        root, size = self.xp.empty_like(parent), self.xp.zeros_like(parent)
        self._for_each(self.num_nodes, "find_roots", parent, np.int32(self.num_nodes), root, size)
        return root, size

    def _contract(self, state: Array, root: Array, size: Array) -> Array:
        """Make `root` that of clusters. Returns [N] INT32, `_LEFT` at the root of each component that is left."""
        xp, graph, num_nodes, num_edges = self.xp, self._graph, self.num_nodes, len(self.scores)
        count = np.int32(num_nodes)
        disputed = xp.zeros_like(root)
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
        return disputed

    def _contract_on_host(self, clusters_on_host: ClustersOnHost, root: Array, left: Array) -> None:
        """Make `root` that of clusters where `left` [N] says so: of the graph, no more is copied."""
        row, column = self.edge_index
        inside = left[row] & (root[row] == root[column])
        nodes = _on_host(self.xp.flatnonzero(left))
        edges = np.searchsorted(nodes, _on_host(self.edge_index[:, inside]))
        labels = clusters_on_host(edges, _on_host(self.scores[inside]), len(nodes))
        _, smallest = np.unique(labels, return_index=True)
        root[left] = self.xp.asarray(nodes[smallest[labels]].astype(np.int32))


def _on_host(array: Array) -> Any:
    return array.get() if on_gpu(array) else array
