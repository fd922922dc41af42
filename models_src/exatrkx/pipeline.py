"""Inference pipeline as one function call, with no server: the reference for everything that is served."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from exatrkx.arrays import retain_freed_memory
from exatrkx.checks import check_finite, check_scores_form, check_spacepoints, check_tensor, max_spacepoints
from exatrkx.contract import APPLYFILTER, EMBED, FEATURES, FILTER, FRNN, GNN, WCC, features_spec
from exatrkx.errors import ContractError
from exatrkx.networks.device import usable_device
from exatrkx.networks.torchscript import inference, load_torchscript
from exatrkx.stages.edges import graph_construction, graph_edges, select_edges
from exatrkx.stages.track_building import label_tracks
from exatrkx.working_point import WEIGHTS_DIR, WorkingPoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    Network = Callable[..., torch.Tensor]


@dataclass(frozen=True, slots=True)
class Tracks:
    """Result of the pipeline for an event of N spacepoints. NumPy arrays on a CPU, CuPy arrays on a GPU.

    Attributes:
        labels: [N] INT64; −1, or the number of the spacepoint's track candidate.
        edge_index: [2,E] INT64 edges that the filter kept.
        edge_scores: [E] FP32 the GNN's logits of those edges.
        neighbour_edges: [2,E'] INT64 edges of the neighbour search, before the filter.
    """

    labels: Any
    edge_index: Any
    edge_scores: Any
    neighbour_edges: Any


class Pipeline:
    """Inference pipeline: embed → neighbours → filter → apply filter → GNN → track building.

    Attributes:
        observe: a context manager around each stage, made from the served model's name: a timer, for instance.
        admit: is told of the edges [2,E] before the GNN, and may refuse them by an error.

    Source: Ju et al., Eur. Phys. J. C 81 (2021) 876.
    """

    observe: Callable[[str], AbstractContextManager[object]]
    admit: Callable[[Any], object]

    def __init__(
        self, embed: Network, edge_filter: Network, gnn: Network, working_point: WorkingPoint, device: str = "cpu"
    ) -> None:
        retain_freed_memory()
        graph_construction(working_point.graph_construction)  # refused now, and not with the first event
        self.embed = embed
        self.edge_filter = edge_filter
        self.gnn = gnn
        self.working_point = working_point
        self.device = torch.device(device)
        self.observe = nullcontext
        self.admit = lambda _edge_index: None

    @classmethod
    def from_weights(
        cls, directory: Path = WEIGHTS_DIR, device: str = "cpu", working_point: Path | None = None
    ) -> Pipeline:
        """The networks in eager mode from `{embed,filter,gnn}.safetensors`, and `working_point.json` or another.

        Warns where the networks, or the embedding and the radius, are known not to belong together, see
        `exatrkx.networks.storage.mismatches` and `WorkingPoint.fits`.

        Raises:
            ContractError: a file is no network, or the device cannot be used; the text names it.
            FileNotFoundError: one is missing.
        """
        # Here, because TorchScript needs none of it and PyG takes some seconds to import.
        from exatrkx.networks.storage import hash_tensors, load_network, mismatches  # noqa: PLC0415

        place = usable_device(device)
        embed, edge_filter, gnn = (
            load_network(directory / f"{kind}.safetensors").to(place) for kind in ("embed", "filter", "gnn")
        )
        point = working_point or directory / "working_point.json"
        cuts = WorkingPoint.load(point)
        wrong = mismatches(directory)
        if not cuts.fits(hash_tensors(embed.state_dict())):
            wrong.append(f"{point}: its radius was chosen for another embedding than {directory / 'embed.safetensors'}")
        for text in wrong:
            warnings.warn(text, stacklevel=2)
        return cls(embed, edge_filter, gnn, cuts, device)

    @classmethod
    def from_torchscript(
        cls, embed: Path, edge_filter: Path, gnn: Path, working_point: WorkingPoint, device: str = "cpu"
    ) -> Pipeline:
        """The networks from TorchScript files, as they are served.

        Raises:
            ContractError: a file is missing or is no TorchScript, or the device cannot be used; the text names it.
        """
        usable_device(device)
        return cls(
            load_torchscript(embed, device),
            load_torchscript(edge_filter, device),
            load_torchscript(gnn, device),
            working_point,
            device,
        )

    @inference()
    def __call__(self, features: npt.NDArray[np.float32] | torch.Tensor) -> Tracks:
        """Find the tracks of one event.

        Args:
            features: [N,F] FP32, `exatrkx.events.event.features` of the event with the working point's `extra`; N may
                be 0, and F is 3 where there are none. NumPy, CuPy, or a torch tensor on the CPU or on the pipeline's
                device.

        Raises:
            ContractError: the features have another type or shape, are elsewhere, or are not finite.
            EventTooLargeError: it has more than `exatrkx.checks.MAX_SPACEPOINTS` spacepoints.
            GraphTooLargeError: the event has more edges than the working point allows.
        """
        if isinstance(features, torch.Tensor):
            features = self._array(features)
        cuts = self.working_point
        check_tensor(features, features_spec(cuts.num_features))
        check_spacepoints(features.shape, FEATURES, max_spacepoints())
        check_finite(features, FEATURES.name)
        hits = self._on_device(features)
        with self.observe(EMBED.name):
            points = self.embed(hits)
        embedding = _for_stages(points)
        with self.observe(FRNN.name):
            neighbour_edges = graph_edges(embedding, cuts)
        _check_rows(embedding, len(hits))
        edges = self._on_device(neighbour_edges)
        with self.observe(FILTER.name):
            logits = self.edge_filter(hits, edges)
        filter_scores = _for_stages(logits)
        with self.observe(APPLYFILTER.name):
            edge_index = select_edges(neighbour_edges, filter_scores, cut=cuts.filter_cut)
        self.admit(edge_index)
        edges = self._on_device(edge_index)
        with self.observe(GNN.name):
            logits = self.gnn(hits, edges)
        scores = check_scores_form(_for_stages(logits), edge_index.shape[1], WCC.input("EDGE_SCORES"))
        with self.observe(WCC.name):
            labels = label_tracks(edge_index, scores, len(hits), cuts, features)
        return Tracks(labels, edge_index, scores, neighbour_edges)

    def _array(self, features: torch.Tensor) -> Any:
        """A user's tensor as NumPy, or CuPy on a GPU, in the same memory: the form that is checked."""
        places = {"cpu", str(torch.empty(0, device=self.device).device)}
        if str(features.device) not in places:
            expected = " or ".join(sorted(places))
            raise ContractError(f"{FEATURES.name}: expected on {expected}, found on {features.device}")
        if features.dtype != torch.float32:  # there are types that NumPy does not know
            raise ContractError(f"{FEATURES.name}: expected {FEATURES.datatype}, found {features.dtype}")
        return _for_stages(features.detach())

    def _on_device(self, array: Any) -> torch.Tensor:
        """The array as a tensor on the pipeline's device; no copy where it is there already."""
        if isinstance(array, np.ndarray):
            return torch.from_numpy(array).to(self.device)
        if array.size == 0:
            return torch.from_numpy(np.empty(array.shape, array.dtype)).to(self.device)
        tensor: torch.Tensor = torch.utils.dlpack.from_dlpack(array)
        return tensor


def _for_stages(tensor: torch.Tensor) -> Any:
    """The tensor as NumPy on a CPU, as CuPy on a GPU, in the same memory."""
    if tensor.device.type == "cpu":
        return tensor.numpy()
    import cupy  # noqa: PLC0415 - only where there is a GPU

    if tensor.numel() == 0:  # nothing to hand over, and DLPack may refuse to
        return cupy.asarray(tensor.cpu().numpy())
    return cupy.from_dlpack(tensor)


def _check_rows(embedding: Any, num_nodes: int) -> None:
    """Refuse an embedding that is not one point for each spacepoint: edges to nowhere would end a GPU's context."""
    if len(embedding) != num_nodes:
        name, found = FRNN.input("EMBEDDING").name, len(embedding)
        raise ContractError(f"{name}: expected one row for each of {num_nodes} spacepoints, found {found}")
