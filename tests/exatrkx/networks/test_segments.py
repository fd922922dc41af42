"""Segments: what is read off two points of a helix is the helix."""

from __future__ import annotations

import math

import pytest
import torch

from exatrkx.networks.geometry import asinh_of_magnitude, node_table, segments
from exatrkx.networks.tables import (
    CHORD,
    CURVATURE,
    DIRECTION_X,
    DIRECTION_Y,
    END_RADIUS,
    INTERCEPT,
    LOG_CHORD,
    NUM_SEGMENT_COLUMNS,
    POLAR_ANGLE,
    SINE,
)


def helix(curvature: float, cot_theta: float, z0: float, radii: list[float], turn: float = 0.0) -> torch.Tensor:
    """[N,3] features of spacepoints where a helix from the beam line at z0 crosses cylinders of these radii, in m."""
    rows = []
    for r in radii:
        angle = math.asin(0.5 * r * curvature)
        rows.append((r, (turn + angle) / math.pi, z0 + cot_theta * 2.0 * angle / curvature))
    return torch.tensor(rows, dtype=torch.float32)


def segments_of(features: torch.Tensor, inner: torch.Tensor, outer: torch.Tensor) -> torch.Tensor:
    """[N,3], [E], [E] -> [12,E]."""
    nodes = node_table(features)
    return segments(nodes[:, inner], nodes[:, outer])


@pytest.mark.parametrize("curvature", [0.03, 0.6, -0.6, 1.2])
@pytest.mark.parametrize("cot_theta", [0.0, 1.5, -4.0])
def test_two_points_of_a_helix_give_its_parameters(curvature: float, cot_theta: float) -> None:
    features = helix(curvature, cot_theta, z0=0.05, radii=[0.1, 0.25, 0.5, 0.9])
    inner, outer = torch.tensor([0, 1, 0, 2]), torch.tensor([1, 2, 3, 3])
    columns = segments_of(features, inner, outer)
    torch.testing.assert_close(columns[CURVATURE], torch.full((4,), curvature), rtol=1e-3, atol=1e-4)
    theta = math.atan2(1.0, cot_theta)
    torch.testing.assert_close(columns[POLAR_ANGLE], torch.full((4,), theta), rtol=0, atol=1e-3)
    torch.testing.assert_close(columns[INTERCEPT], torch.full((4,), 0.05), rtol=0, atol=5e-3)


def test_direction_and_chord_are_those_of_the_transverse_plane() -> None:
    features = torch.tensor([[0.3, 0.0, 0.1], [0.4, 0.5, -0.2]])  # (0.3, 0) and (0, 0.4)
    columns = segments_of(features, torch.tensor([0]), torch.tensor([1]))[:, 0]
    assert columns[CHORD].item() == pytest.approx(0.5, abs=1e-6)
    assert columns[DIRECTION_X].item() == pytest.approx(-0.6, abs=1e-6)
    assert columns[DIRECTION_Y].item() == pytest.approx(0.8, abs=1e-6)
    assert columns[LOG_CHORD].item() == pytest.approx(math.log(0.5), abs=1e-6)
    assert columns[SINE].item() == pytest.approx(math.sin(columns[POLAR_ANGLE].item()), abs=1e-6)
    assert columns[END_RADIUS].item() == pytest.approx(0.4, abs=1e-6)


def test_spacepoints_on_the_axis_or_on_each_other_stay_finite() -> None:
    features = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.3, 1.0], [0.5, 0.1, 0.2], [0.5, 0.1, 0.2]])
    inner, outer = torch.tensor([0, 0, 1, 2, 1]), torch.tensor([1, 2, 0, 3, 3])
    assert torch.isfinite(segments_of(features, inner, outer)).all()


def test_no_edges_have_no_segments() -> None:
    nothing = torch.zeros(0, dtype=torch.int64)
    assert segments_of(torch.zeros((3, 3)), nothing, nothing).shape == (NUM_SEGMENT_COLUMNS, 0)


def test_the_magnitude_of_asinh_at_every_scale() -> None:
    x = torch.tensor([[0.0, 1e-30, -1e-8, 1e-3, -0.1], [1.0, -2.0, 1e5, -1e20, 1e37]])
    torch.testing.assert_close(asinh_of_magnitude(x), torch.asinh(x).abs(), rtol=1e-6, atol=0)
