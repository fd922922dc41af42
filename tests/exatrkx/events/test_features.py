"""Features: the contract's columns, and the way back."""

from __future__ import annotations

import numpy as np
import pytest

from exatrkx.events.event import Event, features, positions


def event(x: list[float], y: list[float], z: list[float]) -> Event:
    return Event(event_id=0, **{n: np.array(v, dtype=np.float32) for n, v in zip("xyz", (x, y, z), strict=True)})  # type: ignore[arg-type]  # arrays by name


def test_columns_are_r_phi_and_z_in_their_units() -> None:
    columns = features(event([300.0, 0.0, -50.0], [400.0, 30.0, 0.0], [-1500.0, 0.0, 2.0]))
    expected = [[0.5, np.arctan2(4, 3) / np.pi, -1.5], [0.03, 0.5, 0.0], [0.05, 1.0, 0.002]]
    np.testing.assert_allclose(columns, expected, rtol=1e-6)
    assert columns.dtype == np.float32
    assert columns.flags.c_contiguous


@pytest.mark.parametrize("size", [0, 1, 500])
def test_positions_are_the_inverse(size: int) -> None:
    rng = np.random.default_rng(3)
    x, y, z = rng.normal(scale=500.0, size=(3, size)).astype(np.float32)
    for found, wanted in zip(positions(features(Event(event_id=1, x=x, y=y, z=z))), (x, y, z), strict=True):
        np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_an_event_of_unequal_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="found 2, 1, 2"):
        event([1.0, 2.0], [1.0], [1.0, 2.0])
