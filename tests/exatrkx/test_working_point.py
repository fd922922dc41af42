"""The working point: read, refused and turned into logits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from exatrkx.errors import ContractError
from exatrkx.working_point import WorkingPoint, logit

if TYPE_CHECKING:
    from pathlib import Path

NUMBERS: dict[str, object] = {"radius": 0.7, "max_neighbors": 40, "filter_cut": 0.02, "gnn_cut": 0.6}


def test_a_working_point_survives_the_disk(tmp_path: Path) -> None:
    point = WorkingPoint.from_mapping(NUMBERS, "test")
    (tmp_path / "point.json").write_text(point.to_json())
    assert WorkingPoint.load(tmp_path / "point.json") == point
    assert point.min_hits == 3


def test_numbers_may_come_as_text_as_triton_gives_them() -> None:
    text = {name: str(value) for name, value in NUMBERS.items()}
    assert WorkingPoint.from_mapping(dict(text), "config.pbtxt") == WorkingPoint.from_mapping(NUMBERS, "test")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"radius": 0.0}, "radius must be positive"),
        ({"radius": math.inf}, "radius must be positive"),
        ({"radius": "wide"}, "wide"),
        ({"filter_cut": 1.5}, "filter_cut must be a probability"),
        ({"gnn_cut": math.nan}, "gnn_cut must be a probability"),
        ({"max_neighbors": 0}, "max_neighbors must be at least 1"),
        ({"max_neighbors": 3.7}, r"3\.7"),
        ({"radios": 1.0}, "unknown field radios"),
    ],
)
def test_nonsense_is_refused_with_the_reason(change: dict[str, object], reason: str) -> None:
    with pytest.raises(ContractError, match=reason):
        WorkingPoint.from_mapping({**NUMBERS, **change}, "test")


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ContractError, match="gnn_cut"):
        WorkingPoint.from_mapping({name: value for name, value in NUMBERS.items() if name != "gnn_cut"}, "test")


@pytest.mark.parametrize("probability", [0.001, 0.3, 0.5, 0.999])
def test_logit_is_the_inverse_of_the_sigmoid(probability: float) -> None:
    assert math.isclose(1.0 / (1.0 + math.exp(-logit(probability))), probability)


def test_the_ends_of_the_cut_pass_everything_and_nothing() -> None:
    assert logit(0.0) == -math.inf
    assert logit(1.0) == math.inf
