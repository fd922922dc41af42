"""Information filter: linear least squares of many small problems, with random walks of their parameters between data.

It is a Kalman filter that keeps the quadratic form of what is minimised, and not the covariance: it may start from
nothing. The form of five parameters and the constant is a symmetric [6,6] matrix K, whose value at parameters p is
(p, −1) K (p, −1)ᵀ.

Source: R. Frühwirth, NIM A 262 (1987) 444; of the sweep operator J. H. Goodnight, The American Statistician 33 (1979)
149.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

PARAMETERS = 5
_DEPENDENT = 1e-11
"""A parameter of which the others leave less than this share of its information is not measured."""


def add_measurement(form: Array, row: Array) -> None:
    """Add a datum of standard deviation 1: `row` [6,T] is its derivatives, and the datum; `form` is [6,6,T]."""
    form += row[:, None] * row[None]


def add_noise(form: Array, change: Array) -> None:
    """Let the parameters of what was added so far differ from those of what follows by `change` [5,T] times N(0, 1)."""
    moved = np.einsum("ijt,jt->it", form[:, :PARAMETERS], change)
    scale = 1.0 / (1.0 + np.einsum("jt,jt->t", moved[:PARAMETERS], change))
    form -= moved[:, None] * (moved * scale)[None]


def minimum(form: Array) -> tuple[Array, Array, Array]:
    """[5,T] parameters at the minimum, [5,5,T] their covariance, and [T] χ² there; NaN where the data are too few."""
    swept = form.copy()
    before = np.einsum("iit->it", form)[:PARAMETERS]
    measured = np.ones(form.shape[2], dtype=np.bool_)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for k in range(PARAMETERS):
            pivot = swept[k, k].copy()
            measured &= pivot > _DEPENDENT * before[k]
            row = swept[k] / pivot
            swept -= swept[:, k, None] * row[None]
            swept[k], swept[:, k], swept[k, k] = row, row, -1.0 / pivot
    swept[:, :, ~measured] = np.nan
    return swept[:PARAMETERS, PARAMETERS], -swept[:PARAMETERS, :PARAMETERS], swept[PARAMETERS, PARAMETERS]
