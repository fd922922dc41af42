"""Networks as they are served: TorchScript with the digest of its features, edges and output as a second output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from tiny_networks import TinyEdges, TinyEmbedding

from exatrkx.digest import added, features_digest, payload_digest
from exatrkx.networks.proof import PROBES
from exatrkx.networks.served import with_digest
from exatrkx.networks.torchscript import inference, load_torchscript, probe, to_bytes, trace

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", ["embed", "filter", "gnn"])
def test_a_served_network_gives_its_output_and_the_digest(kind: str, tmp_path: Path) -> None:
    bare = trace(kind, TinyEmbedding() if kind == "embed" else TinyEdges(0.5))
    file = tmp_path / "model.pt"
    file.write_bytes(to_bytes(with_digest(kind, bare)))
    served = torch.jit.load(str(file)).eval()  # type: ignore[no-untyped-call]  # torch's
    from_file = load_torchscript(file)
    for number, (num_spacepoints, num_edges) in enumerate(PROBES):
        inputs = probe(num_spacepoints, num_edges, seed=number)[: 1 if kind == "embed" else 2]
        with inference():
            output, digest = served(*inputs)
            expected = bare(*inputs)
            assert torch.equal(output, expected)
            assert torch.equal(from_file(*inputs), expected)
        payloads = [payload_digest(tensor.numpy()) for tensor in (*inputs[1:], output)]
        assert digest.dtype == torch.int64
        assert digest.tolist() == [added(features_digest(inputs[0].numpy()), *payloads)]


@pytest.mark.parametrize("entry", [3, -1])
def test_edges_to_nowhere_are_refused(entry: int) -> None:
    """Also by a LibTorch backend that is not this project's, and knows no contract."""
    served = with_digest("filter", trace("filter", TinyEdges(0.5)))
    features, edge_index = torch.ones(3, 3), torch.tensor([[0, 1], [2, entry]])
    with pytest.raises(torch.jit.Error, match=r"INPUT__1: entries must be in \[0, 3\)"):
        served(features, edge_index)
    scores, _ = served(features[:0], edge_index[:, :0])
    assert scores.shape == (0,)


def test_a_bare_file_is_read_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(to_bytes(trace("embed", TinyEmbedding())))
    assert torch.equal(load_torchscript(file)(torch.ones(2, 3)), torch.ones(2, 3))
