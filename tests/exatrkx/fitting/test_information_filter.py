"""The information filter against the same least squares with the whole covariance matrix of the data."""

from __future__ import annotations

import numpy as np

from exatrkx.fitting.information_filter import add_measurement, add_noise, minimum


def test_noise_between_data_is_their_covariance() -> None:
    """A datum k sees p + w_0 + … + w_k: their covariance is 1 + Σ of the walks up to the earlier one of two."""
    random = np.random.default_rng(1)
    data, tracks = 9, 3
    rows = random.normal(size=(data, 6, tracks))
    walks = random.normal(size=(data, 5, tracks)) * 0.7
    form = np.zeros((6, 6, tracks))
    for k in reversed(range(data)):
        add_measurement(form, rows[k])
        add_noise(form, walks[k])
    found, covariance, chi2 = minimum(form)
    for t in range(tracks):
        a, datum = rows[:, :5, t], rows[:, 5, t]
        v = np.eye(data)
        for i in range(data):
            behind = np.where(np.arange(data) >= i, a @ walks[i, :, t], 0.0)
            v += np.outer(behind, behind)
        weight = np.linalg.inv(v)
        expected = np.linalg.inv(a.T @ weight @ a)
        best = expected @ a.T @ weight @ datum
        np.testing.assert_allclose(covariance[:, :, t], expected, rtol=1e-8)
        np.testing.assert_allclose(found[:, t], best, rtol=1e-8)
        np.testing.assert_allclose(chi2[t], (datum - a @ best) @ weight @ (datum - a @ best), rtol=1e-8)


def test_too_few_data_have_no_minimum_and_leave_others_alone() -> None:
    random = np.random.default_rng(2)
    form = np.zeros((6, 6, 3))
    for k in range(7):
        row = random.normal(size=(6, 3))
        row[4, 1] = 0.0  # of the second track one parameter is never seen
        if k >= 4:
            row[:, 2] = 0.0  # of the third there are four data
        add_measurement(form, row)
    found, covariance, chi2 = minimum(form)
    for values in (found, covariance.reshape(25, 3), chi2[None]):
        assert np.isfinite(values[:, 0]).all()
        assert np.isnan(values[:, 1:]).all()


def test_no_track_at_all() -> None:
    found, covariance, chi2 = minimum(np.zeros((6, 6, 0)))
    assert (found.shape, covariance.shape, chi2.shape) == ((5, 0), (5, 5, 0), (0,))
