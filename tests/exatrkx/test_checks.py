"""What is refused, and in which words."""

from __future__ import annotations

import numpy as np
import pytest
from stage_cases import fp32

from exatrkx import checks
from exatrkx.contract import ENSEMBLE, FRNN, WCC
from exatrkx.errors import ContractError

FEATURES = ENSEMBLE.input("FEATURES")


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_tensors_of_the_contract_pass(rows: int) -> None:
    features = np.zeros((rows, 3), dtype=np.float32)
    checks.check_tensor(features, FEATURES)
    checks.check_finite(features, "FEATURES")
    checks.check_embedding_form(features, FRNN.input("EMBEDDING"))


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((4, 2), np.float32), r"float32 \[4,2\]"),
        (np.zeros((4, 4), np.float32), r"float32 \[4,4\]"),
        (np.zeros((3,), np.float32), r"float32 \[3\]"),
        (np.zeros((1, 4, 3), np.float32), r"float32 \[1,4,3\]"),
        (np.zeros((4, 3), np.int64), r"int64 \[4,3\]"),
        (np.zeros((4, 3), ">f4"), r">f4 \[4,3\]"),
        (np.float32(1), r"float32 \[\]"),
        (None, "NoneType"),
        ([[1.0, 2.0, 3.0]], "list"),
    ],
)
def test_wrong_forms(array: object, found: str) -> None:
    with pytest.raises(ContractError, match=rf"^FEATURES: expected FP32 \[-1,3\], found {found}$"):
        checks.check_tensor(array, FEATURES)


def test_the_largest_finite_numbers_are_finite() -> None:
    checks.check_finite(fp32([[3.4e38, -3.4e38, 1e-45]]), "FEATURES")


def test_more_spacepoints_than_any_event_has() -> None:
    huge = np.lib.stride_tricks.as_strided(fp32([0.0]), shape=(checks.MAX_NODES + 1, 1), strides=(0, 0))
    with pytest.raises(ContractError, match=f"EMBEDDING: expected at most {checks.MAX_NODES} rows"):
        checks.check_embedding_form(huge, FRNN.input("EMBEDDING"))


def test_one_score_is_not_squeezed_away() -> None:
    spec = WCC.input("EDGE_SCORES")
    for shape in ((1,), (1, 1)):
        assert checks.check_scores_form(np.zeros(shape, np.float32), 1, spec).shape == (1,)


@pytest.mark.parametrize("count", [0, 5, np.int64(5), checks.MAX_NODES])
def test_numbers_of_nodes(count: int) -> None:
    assert checks.check_num_nodes(count, "NUM_NODES") == count


@pytest.mark.parametrize("count", [-1, checks.MAX_NODES + 1, 2.0, "5", None, np.array([5, 6])])
def test_what_is_no_number_of_nodes(count: object) -> None:
    with pytest.raises(ContractError, match=r"^NUM_NODES: "):
        checks.check_num_nodes(count, "NUM_NODES")
