"""Columns of FEATURES beside the position: their names and scales, in an event and in a working point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from exatrkx.contract import MODELS, ExtraFeature, extra_features, num_features, with_num_features
from exatrkx.errors import ContractError, EventFormatError, MissingColumnError
from exatrkx.events.event import Event, features
from exatrkx.events.parquet import read_events
from exatrkx.events.parquet_writer import write_events
from exatrkx.events.readers import read_events as read_any
from exatrkx.working_point import WorkingPoint

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

X: Final = np.array([30.0, 40.0], dtype=np.float32)
CHARGE: Final = np.array([50.0, np.float32(0.1)], dtype=np.float32)


def event(number: int = 3, **extra: npt.NDArray[np.float32]) -> Event:
    return Event(event_id=number, x=X, y=np.zeros_like(X), z=X, extra=extra)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("  ", ()),
        ("charge", (ExtraFeature("charge"),)),
        (
            " charge/100 , η.1/0.5,count/1e3",
            (ExtraFeature("charge", 100), ExtraFeature("η.1", 0.5), ExtraFeature("count", 1e3)),
        ),
    ],
)
def test_a_list_is_read_and_written(text: str, found: tuple[ExtraFeature, ...]) -> None:
    assert extra_features(text) == found
    assert extra_features(",".join(map(str, found))) == found


@pytest.mark.parametrize(
    "text",
    [
        "charge/0",
        "charge/-1",
        "charge/inf",
        "charge/x",
        "charge/",
        "/2",
        ",",
        "a,",
        "a b",
        'a"b',
        "a\\b",
        "a=b",
        "a/2/3",
    ],
)
def test_what_is_no_list(text: str) -> None:
    with pytest.raises(ContractError, match="extra_features: expected NAME or NAME/SCALE"):
        extra_features(text)
    with pytest.raises(ContractError, match="working point: extra_features: expected"):
        WorkingPoint(radius=1.0, max_neighbors=1, filter_cut=0.5, gnn_cut=0.5, extra_features=text)


def test_twice_is_once_too_often() -> None:
    with pytest.raises(ContractError, match="extra_features: charge is there twice"):
        extra_features("charge,charge/2")


def test_order_and_scale_are_the_lists() -> None:
    found = features(event(count=X, charge=CHARGE), extra_features("charge/100,count"))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:, :3], features(event()))
    np.testing.assert_array_equal(found[:, 3], CHARGE / np.float32(100))
    np.testing.assert_array_equal(found[:, 4], X)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(
        MissingColumnError, match=r"event 3: column 'charge' is missing: .*charge/100, count.*found 'count'"
    ):
        features(event(count=X), extra_features("charge/100,count"))
    with pytest.raises(ValueError, match="event 3: charge has 1 values, x has 2"):
        event(charge=CHARGE[:1])


def test_a_working_point_without_them_is_written_as_ever() -> None:
    point = WorkingPoint(radius=1.0, max_neighbors=1, filter_cut=0.5, gnn_cut=0.5)
    assert "extra_features" not in point.to_json()
    assert point.num_features == 3


def test_every_tensor_of_features_gets_them_and_no_other() -> None:
    changed = {}
    for name, spec in MODELS.items():
        five = with_num_features(spec, 5)
        changed[name] = [one.name for one, other in zip(spec.inputs, five.inputs, strict=True) if one != other]
        assert with_num_features(five, 5) == five
        assert five.outputs == spec.outputs
    networks = {name: ["INPUT__0"] for name in ("embed", "filter", "gnn")}
    whole = {name: ["FEATURES"] for name in ("wcc", "exatrkx_ensemble", "exatrkx_custom")}
    assert changed == networks | whole | {"frnn": [], "applyfilter": []}
    assert num_features(with_num_features(MODELS["exatrkx_custom"], 5)) == 5


def test_parquet_keeps_them(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    events = [event(1, charge=CHARGE, **{"odd name, η": X}), event(2, charge=X, **{"odd name, η": CHARGE})]
    assert write_events(path, events) == 2
    for found in ([*read_events(path)], [*read_events(path, [0, 1])], [*read_any(path)]):
        for one, other in zip(found, events, strict=True):
            assert list(one.extra) == ["charge", "odd name, η"]
            for name, column in other.extra.items():
                assert one.extra[name].dtype == np.float32
                np.testing.assert_array_equal(one.extra[name], column)


def test_parquet_of_events_that_differ(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    with pytest.raises(
        EventFormatError, match="event 2: extra columns must be those of the first event: expected 'charge', found none"
    ):
        write_events(path, [event(1, charge=CHARGE), event(2)])
    assert not path.exists()
    assert write_events(path, []) == 0
    assert [*read_events(path)] == []
