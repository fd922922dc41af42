"""Particle table of an event: the listed particles, and those that made hits and are in no list."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import numpy.typing as npt

from exatrkx.events.event import IntArray, Particles

Identifiers = npt.NDArray[np.uint64]


def particle_table(listed: Particles | None, made_by: Identifiers) -> tuple[Particles, IntArray]:
    """All particles of an event, and which of them made each hit.

    What is in no list is known by its hits alone: PDG code 0, and vertex, momentum and charge NaN, so that it has a
    charge and passes no cut. It is no primary either, unless there is no list at all.

    Args:
        listed: the particles of a file, in its order; None where there is no file.
        made_by: [H] the particle of each hit.

    Returns:
        The listed particles and after them the others, by rising identifier; and [H] the place of each hit's in them.
    """
    of_file = listed.particle_id if listed is not None else np.zeros(0, dtype=np.uint64)
    others = _unlisted(np.setdiff1d(made_by, of_file), primary=listed is None)
    particles = others if listed is None else _joined(listed, others)
    along = np.argsort(particles.particle_id, kind="stable")
    place: IntArray = along[np.searchsorted(particles.particle_id, made_by, sorter=along)]
    return particles, place


def take_momenta(particles: Particles, particle: IntArray, order: IntArray, momentum: npt.NDArray[np.float64]) -> None:
    """Give particles without a momentum that of their first hit.

    Args:
        particles: whose momenta may be NaN; they are written.
        particle: [H] whose each hit is.
        order: [H] its place along the particle.
        momentum: [H,3] in GeV at the hit.
    """
    first = np.flatnonzero((order == 0) & np.isnan(particles.px[particle]))
    for component, values in zip((particles.px, particles.py, particles.pz), momentum[first].T, strict=True):
        component[particle[first]] = values


def _unlisted(identifiers: Identifiers, *, primary: bool) -> Particles:
    count = len(identifiers)
    unknown = {
        name: np.full(count, np.nan, dtype=np.float32) for name in ("charge", "vx", "vy", "vz", "px", "py", "pz")
    }
    return Particles(
        particle_id=identifiers.astype(np.uint64),
        pdg=np.zeros(count, dtype=np.int32),
        primary=np.full(count, primary),
        **unknown,
    )


def _joined(first: Particles, second: Particles) -> Particles:
    names = [field.name for field in fields(Particles)]
    return Particles(**{name: np.concatenate((getattr(first, name), getattr(second, name))) for name in names})
