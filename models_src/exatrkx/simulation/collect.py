"""From what ACTS leaves on its whiteboard to an `Event` with truth."""

from __future__ import annotations

from typing import Any, Final

import acts.examples as ex
import numpy as np

from exatrkx.event import Event, IntArray, Particles, Truth

KEPT_MIN_PT: Final = 0.5
"""A charged particle of the generator with more pT than this, in GeV, is kept even when it left no spacepoint."""


def collect(event_id: int, particles: Any, hits: Any, measurement_hits: Any, spacepoints: Any) -> Event:
    """The event that these containers of ACTS describe.

    Args:
        event_id: its number.
        particles: `SimParticleContainer`, those of the detector's material included.
        hits: `SimHitContainer`, in the order that indices of hits refer to.
        measurement_hits: `MeasurementSimHitsMap`, from indices of measurements to indices of hits.
        spacepoints: `SpacePointContainer`, each of one measurement.
    """
    barcodes = np.asarray([_packed(particle.particleId) for particle in particles], dtype=np.uint64)
    table = _table(barcodes, list(particles))
    spacepoint, barcode, place = _links(hits, measurement_hits, spacepoints)
    particle = np.searchsorted(barcodes, barcode)  # ACTS keeps its particles sorted by barcode
    order = _rank(particle, place)

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
            particles=_chosen(table, kept),
            spacepoint=spacepoint[along],
            particle=particle[along],
            order=order[along],
        ),
    )


def _packed(barcode: Any) -> int:
    """The five numbers of a barcode in 64 bits: 12 for the collision, 12, 16, 8 and 16, which sort as ACTS sorts."""
    return (
        barcode.vertexPrimary << 52
        | barcode.vertexSecondary << 40
        | barcode.particle << 24
        | barcode.generation << 16
        | barcode.subParticle
    )


def _table(barcodes: np.ndarray[Any, np.dtype[np.uint64]], particles: list[Any]) -> Particles:
    positions = np.asarray([tuple(p.position) for p in particles], dtype=np.float32).reshape(-1, 3)
    momenta = np.asarray([tuple(p.momentum) for p in particles], dtype=np.float32).reshape(-1, 3)
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


def _links(hits: Any, measurement_hits: Any, spacepoints: Any) -> tuple[IntArray, Any, IntArray]:
    """[H] spacepoint, particle's barcode, and place along the particle, of each hit that a spacepoint was made of."""
    made_by = [(_packed(hit.particleId), hit.index) for hit in hits]
    links = [
        (index, *made_by[hit])
        for index, spacepoint in enumerate(spacepoints)
        for link in spacepoint.sourceLinks
        for hit in measurement_hits.valuesFor(ex.IndexSourceLink.fromSourceLink(link).index())
    ]
    spacepoint, barcode, place = zip(*links, strict=True) if links else ((), (), ())
    return (
        np.asarray(spacepoint, dtype=np.int64),
        np.asarray(barcode, dtype=np.uint64),
        np.asarray(place, dtype=np.int64),
    )


def _rank(particle: IntArray, place: IntArray) -> IntArray:
    """[H] 0, 1, 2, … within each particle, in the order of `place`."""
    along = np.lexsort((place, particle))
    owner = particle[along]
    start = np.searchsorted(owner, owner, side="left")
    order = np.empty_like(along)
    order[along] = np.arange(len(along)) - start
    return order


def _chosen(table: Particles, kept: np.ndarray[Any, np.dtype[np.bool_]]) -> Particles:
    return Particles(**{name: getattr(table, name)[kept] for name in table.__slots__})
