"""Centre and width of a histogram."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("acts")

from exatrkx_acts.distribution import Distribution

Values = list[float] | npt.NDArray[np.float64]


def distribution(values: Values, edges: Values) -> Distribution:
    counts, _ = np.histogram(values, edges)
    return Distribution(edges=np.asarray(edges, dtype=float), counts=counts.astype(float), total=len(values))


def test_nothing() -> None:
    empty = distribution([], [0.0, 1.0, 2.0])
    assert (empty.total, empty.within) == (0, 0)
    assert all(math.isnan(value) for value in (empty.centre, empty.width, empty.width_error))


def test_one_value_is_as_wide_as_its_bin() -> None:
    one = distribution([1.5], [0.0, 1.0, 2.0])
    assert one.centre == pytest.approx(1.5)
    assert one.width == pytest.approx(0.3413, abs=1e-4)


def test_a_gaussian_and_its_errors() -> None:
    random = np.random.default_rng(3)
    edges = np.linspace(-8.0, 12.0, 401)
    widths = [distribution(random.normal(2.0, 1.5, 400), edges) for _ in range(400)]
    assert np.mean([d.centre for d in widths]) == pytest.approx(2.0, abs=0.02)
    assert np.mean([d.width for d in widths]) == pytest.approx(1.5, abs=0.02)
    assert np.std([d.width for d in widths]) == pytest.approx(np.mean([d.width_error for d in widths]), rel=0.1)


def test_what_is_beyond_the_bins_is_counted_only() -> None:
    far = distribution([-9.0, 0.1, 0.1, 0.1, 99.0], [-1.0, 0.0, 1.0])
    assert (far.total, far.within) == (5, 3)
    assert 0.0 < far.centre < 1.0


def test_a_gap_between_the_halves_has_one_median() -> None:
    assert distribution([-3.5, 3.5], np.arange(-5.0, 6.0)).centre == pytest.approx(-3.0)
