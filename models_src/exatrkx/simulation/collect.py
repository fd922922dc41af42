"""Conversion of ACTS's containers to an `Event` with truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, Final

import acts.examples as ex
import numpy as np
import numpy.typing as npt

from exatrkx.events.event import NOISE, Event, IntArray, Particles, Truth, order_within, pack_barcodes
from exatrkx.simulation.absorbed import absorbed_hits
from exatrkx.simulation.modules import Modules

UIntArray = npt.NDArray[np.uint64]

KEPT_MIN_PT: Final = 0.5
"""A charged particle of the generator with more pT than this, in GeV, is kept even when it left no spacepoint."""


Absorbed = tuple[Modules, Any]
"""The modules, and the `ClusterContainer` with the cluster of each measurement."""


def collect(
    event_id: int,
    particles: Any,
    hits: Any,
    measurement_hits: Any,
    spacepoints: Any,
    *,
    absorbed: Absorbed | None = None,
) -> Event:
    """The event that these containers of ACTS describe.

    Args:
        event_id: its number.
        particles: `SimParticleContainer`, those of the detector's material included.
        hits: `SimHitContainer`, in the order that indices of hits refer to.
        measurement_hits: `MeasurementSimHitsMap`, from indices of measurements to indices of hits.
        spacepoints: `SpacePointContainer`, each of one measurement.
        absorbed: where hits were digitised as clusters: what tells to which of them forgotten hits belong.
    """
    barcodes = _packed(particle.particleId for particle in particles)
    table = _table(barcodes, list(particles))
    spacepoint, barcode, place = _links(hits, measurement_hits, spacepoints, absorbed)
    particle = np.searchsorted(barcodes, barcode)  # ACTS keeps its particles sorted by barcode
    order = order_within(particle, place)

    kept = table.primary & (table.charge != 0) & (table.pt > KEPT_MIN_PT)
    kept[particle] = True
    particle = (np.cumsum(kept) - 1)[particle]
    along = np.lexsort((order, particle))
    return Event(
        event_id=event_id,
        x=spacepoints.x.astype(np.float32),
        y=spacepoints.y.astype(np.float32),
        z=spacepoints.z.astype(np.float32),
        truth=Truth(
            particles=Particles(**{field.name: getattr(table, field.name)[kept] for field in fields(Particles)}),
            spacepoint=spacepoint[along],
            particle=particle[along],
            order=order[along],
        ),
    )


def measurement_indices(spacepoints: Any) -> list[int]:
    """[N] the one measurement that each spacepoint of a `SpacePointContainer` was made of."""
    # `next` and no loop: every spacepoint has one link, and the end of ACTS's iterator is a C++ exception, 20 µs each.
    return [ex.IndexSourceLink.fromSourceLink(next(s.sourceLinks)).index() for s in spacepoints]


def _packed(barcodes: Iterable[Any]) -> UIntArray:
    numbers = [(b.vertexPrimary, b.vertexSecondary, b.particle, b.generation, b.subParticle) for b in barcodes]
    return pack_barcodes(np.asarray(numbers, dtype=np.uint64).reshape(-1, 5))


def _table(barcodes: UIntArray, particles: list[Any]) -> Particles:
    positions, momenta = (
        # By index: a vector of ACTS can be iterated over, at ten times the cost.
        np.asarray([(v[0], v[1], v[2]) for v in vectors], dtype=np.float32).reshape(-1, 3)
        for vectors in ([p.position for p in particles], [p.momentum for p in particles])
    )
    return Particles(
        particle_id=barcodes,
        pdg=np.asarray([int(p.pdg) for p in particles], dtype=np.int32),
        charge=np.asarray([p.charge for p in particles], dtype=np.float32),
        vx=positions[:, 0],
        vy=positions[:, 1],
        vz=positions[:, 2],
        px=momenta[:, 0],
        py=momenta[:, 1],
        pz=momenta[:, 2],
        primary=np.asarray([p.particleId.generation == 0 for p in particles], dtype=np.bool_),
    )


def _links(
    hits: Any, measurement_hits: Any, spacepoints: Any, absorbed: Absorbed | None
) -> tuple[IntArray, UIntArray, IntArray]:
    """[H] spacepoint, particle's barcode, and place along the particle, of each hit that a spacepoint was made of.

    Noise hits are no particle's.
    """
    barcodes = _packed(hit.particleId for hit in hits)
    places = np.asarray([hit.index for hit in hits], dtype=np.int64)
    measurements = measurement_indices(spacepoints)
    linked = [
        (spacepoint, hit)
        for spacepoint, measurement in enumerate(measurements)
        for hit in measurement_hits.valuesFor(measurement)
    ]
    pairs = np.asarray(linked, dtype=np.int64).reshape(-1, 2)
    if absorbed is not None:
        modules, clusters = absorbed
        of_spacepoints = [clusters[measurement] for measurement in measurements]
        pairs = np.concatenate((pairs, absorbed_hits(modules, hits, of_spacepoints, spacepoints, pairs)))
    spacepoint, hit = pairs.T
    made = barcodes[hit] != NOISE
    return spacepoint[made], barcodes[hit[made]], places[hit[made]]
