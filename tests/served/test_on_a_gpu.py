"""Servers on a GPU: the CPU's labels, and what is bad refused before it could end the process's context."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
import torch
from serving import Caller

from exatrkx.events.event import features
from exatrkx.events.parquet import read_events
from exatrkx.pipeline import Pipeline
from exatrkx_client.errors import ClientError
from exatrkx_server import ServerOptions, TritonServer

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parents[2]
PIPELINES: Final = ("exatrkx_ensemble", "exatrkx_custom")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.server,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    log_file = tmp_path_factory.mktemp("gpu") / "tritonserver.log"
    with TritonServer(ROOT / "model_repository", ServerOptions(device="gpu", log_file=log_file)) as server:
        caller = Caller(server)
        yield caller
        caller.close()


def test_labels_are_the_cpus(call: Caller) -> None:
    pipeline = Pipeline.from_weights()
    for event in read_events(ROOT / "data" / "events" / "ttbar_mu0.parquet"):
        row = features(event)
        expected = pipeline(row).labels
        for model in PIPELINES:
            np.testing.assert_array_equal(call(model, {"FEATURES": row}, ("LABELS",))["LABELS"], expected)


def bad_requests() -> dict[str, dict[str, Any]]:
    rows, nowhere = np.ones((5, 3), np.float32), np.array([[0, 1], [7, 2]])
    scores = np.ones(2, np.float32)
    network = {"INPUT__0": rows, "INPUT__1": nowhere}
    return {
        "filter": network,
        "gnn": network,
        "applyfilter": {"EDGE_SCORES": scores, "EDGE_INDEX": -nowhere},
        "wcc": {"EDGE_INDEX": nowhere, "EDGE_SCORES": scores, "NUM_NODES": np.array([5]), "FEATURES": rows},
    }


@pytest.mark.parametrize("model", list(bad_requests()))
def test_an_edge_to_nowhere_harms_nobody(model: str, call: Caller) -> None:
    with pytest.raises(ClientError, match="entries must"):
        call(model, bad_requests()[model])
    rows = np.ones((2, 3), np.float32)
    for pipeline in PIPELINES:
        assert call(pipeline, {"FEATURES": rows}, ("LABELS",))["LABELS"].shape == (2,)
