"""Which served models the client takes, and what it says of the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exatrkx.contract import CUSTOM, EDGES_DIGEST, ENSEMBLE, FRNN, REQUEST_DIGEST, TensorSpec
from exatrkx.errors import ContractError
from exatrkx_client.contract_check import require_pipeline

HERE = "grpc://host:8001"


def test_pipelines_pass_whatever_their_name_order_and_further_outputs() -> None:
    require_pipeline(ENSEMBLE, HERE)
    require_pipeline(CUSTOM, HERE)
    more = (*ENSEMBLE.outputs, TensorSpec("TIMES", "FP32", (6,)))
    require_pipeline(replace(ENSEMBLE, name="mine", outputs=more[::-1]), HERE)
    require_pipeline(replace(ENSEMBLE, outputs=tuple(set(ENSEMBLE.outputs) - {REQUEST_DIGEST, EDGES_DIGEST})), HERE)


@pytest.mark.parametrize(
    ("inputs", "outputs", "difference"),
    [
        ((), ENSEMBLE.outputs, r"input FEATURES FP32 \[-1,3\] is missing$"),
        (
            (TensorSpec("FEATURES", "FP16", (-1, 3)),),
            ENSEMBLE.outputs,
            r"input FEATURES FP32 \[-1,3\] expected, found FEATURES FP16 \[-1,3\]$",
        ),
        (ENSEMBLE.inputs, (*ENSEMBLE.outputs[:3], TensorSpec("REQUEST_DIGEST", "FP32", (1,))), "output REQUEST_DIGEST"),
        (
            (*ENSEMBLE.inputs, TensorSpec("CELLS", "FP32", (-1,))),
            ENSEMBLE.outputs[:1],
            r"input CELLS FP32 \[-1\] is not known; output EDGE_INDEX .* is missing; output EDGE_SCORES .* is missing$",
        ),
    ],
)
def test_other_models_are_told_apart(
    inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], difference: str
) -> None:
    with pytest.raises(ContractError, match=f"{HERE}: model 'mine' does not keep the contract: {difference}"):
        require_pipeline(replace(ENSEMBLE, name="mine", inputs=inputs, outputs=outputs), HERE)


def test_one_step_is_no_pipeline() -> None:
    with pytest.raises(ContractError, match=r"FEATURES .* is missing; input EMBEDDING .* is not known; output LABELS"):
        require_pipeline(FRNN, HERE)
