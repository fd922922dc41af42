"""CSV files that ACTS itself writes of a simulated event: read with the truth that the event has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exatrkx.events.event import Truth
from exatrkx.events.readers import read_events
from exatrkx.simulation.profile import DetectorProfile
from exatrkx.simulation.settings import SimulationSettings

acts = pytest.importorskip("acts")
pytest.importorskip("pythia8mc")

import acts.examples as ex  # noqa: E402 - after the check that it is there

from exatrkx.simulation import detector  # noqa: E402
from exatrkx.simulation.chain import Simulation  # noqa: E402

pytestmark = pytest.mark.simulation


def pairs(truth: Truth) -> set[tuple[int, int, int]]:
    names = truth.particles.particle_id[truth.particle].tolist()
    return set(zip(truth.spacepoint.tolist(), names, truth.order.tolist(), strict=True))


def test_what_acts_writes_is_the_event(tmp_path: Path) -> None:
    def writers(_geometry: Any, _field: Any) -> Iterator[Any]:
        common = {"level": acts.logging.ERROR, "outputDir": str(tmp_path)}
        yield ex.CsvMeasurementWriter(
            inputMeasurements=detector.MEASUREMENT_CONTAINER,
            inputClusters=detector.CLUSTERS,
            inputMeasurementSimHitsMap="measurement_simhits",
            **common,
        )
        yield ex.CsvSimHitWriter(inputSimHits=detector.HITS, outputStem="hits", **common)
        yield ex.CsvParticleWriter(inputParticles=detector.PARTICLES, outputStem="particles_simulated", **common)
        yield ex.CsvSpacePointWriter(inputSpacePoints=detector.SPACEPOINTS, **common)

    settings = SimulationSettings(seed=5, detector=DetectorProfile(pixel_inefficiency=0.1, noise=0.2))
    event = Simulation(settings, writers).event(3)
    (found,) = read_events(tmp_path)
    assert found.event_id == 3
    for name in ("x", "y", "z"):
        np.testing.assert_allclose(getattr(found, name), getattr(event, name), rtol=1e-5, atol=1e-4)
    assert event.truth is not None
    assert found.truth is not None
    assert len(np.unique(event.truth.spacepoint)) < len(event)  # noise
    assert len(event.truth) > len(np.unique(event.truth.spacepoint))  # merged hits
    assert pairs(found.truth) == pairs(event.truth)
    # ACTS lists every particle; the event those that matter.
    assert set(event.truth.particles.particle_id.tolist()) <= set(found.truth.particles.particle_id.tolist())
    momenta = dict(zip(found.truth.particles.particle_id.tolist(), found.truth.particles.pt.tolist(), strict=True))
    for name, pt in zip(event.truth.particles.particle_id.tolist(), event.truth.particles.pt.tolist(), strict=True):
        assert momenta[name] == pytest.approx(pt, rel=1e-4)
