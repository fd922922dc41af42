"""The outline of the detector against ACTS's geometry, and of other detectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import handmade
import numpy as np
import numpy.typing as npt
import pytest

from exatrkx.events.event import Event
from exatrkx.events.readers import read_events
from exatrkx_client.detector_outline import GENERIC, ON_A_LAYER_MM, Outline, outline_of

EVENTS = Path(__file__).resolve().parents[2] / "data" / "events"


FloatArray = npt.NDArray[np.float64]


def event_at(r: FloatArray, z: FloatArray) -> Event:
    turn = np.arange(len(r))
    event = replace(handmade.event(len(r), []), truth=None)
    x, y = r * np.cos(turn), r * np.sin(turn)
    return replace(event, x=x.astype(np.float32), y=y.astype(np.float32), z=z.astype(np.float32))


@pytest.mark.simulation
def test_layers_are_those_of_acts() -> None:
    from acts.examples import GenericDetector  # noqa: PLC0415 - where it is installed

    from exatrkx.simulation.modules import Modules  # noqa: PLC0415

    detector = GenericDetector()
    modules = Modules.of(detector.trackingGeometry())
    r, z = np.hypot(modules.centre[:, 0], modules.centre[:, 1]), modules.centre[:, 2]
    on_barrel = np.abs(modules.axes[:, 1, 2]) > 0.5
    barrels, halves = np.asarray(GENERIC.barrels).T
    discs, inner, outer = np.asarray(GENERIC.discs).T
    assert all_near(r[on_barrel], barrels, 3.0)
    assert all_near(z[~on_barrel], discs, 6.0)
    half = modules.half[:, 2]
    assert halves.max() == pytest.approx((np.abs(z) + half)[on_barrel].max(), abs=1.0)
    assert outer.max() == pytest.approx((r + half)[~on_barrel].max(), abs=6.0)
    assert inner.min() == pytest.approx((r - half)[~on_barrel].min(), abs=6.0)


def all_near(values: FloatArray, places: FloatArray, reach: float) -> bool:
    """Whether each value is near a place, and each place near a value."""
    distance = np.abs(values[:, None] - places)
    return bool((distance.min(axis=1) < reach).all() and (distance.min(axis=0) < reach).all())


def test_bundled_events_are_of_it() -> None:
    for event in read_events(EVENTS):
        assert outline_of(event) is GENERIC


def test_another_detector_has_a_cylinder_around_it() -> None:
    random = np.random.default_rng(0)
    r, z = random.uniform(40, 900, 500), random.uniform(-2000, 2000, 500)
    ((radius, half),) = outline_of(event_at(r, z)).barrels
    np.testing.assert_allclose((radius, half), (r.max(), np.abs(z).max()), rtol=1e-6)


def test_nothing() -> None:
    nothing = np.zeros(0)
    assert outline_of(event_at(nothing, nothing)) == Outline()
    assert outline_of(event_at(np.full(3, np.nan), np.zeros(3))) == Outline()


def test_noise_between_the_layers_does_not_hide_it() -> None:
    r = np.concatenate([np.resize([radius for radius, _ in GENERIC.barrels], 95), np.full(5, 600.0)])
    assert outline_of(event_at(r + ON_A_LAYER_MM / 2, np.zeros(100))) is GENERIC
    assert outline_of(event_at(np.where(np.arange(100) < 20, 600.0, r), np.zeros(100))) is not GENERIC
