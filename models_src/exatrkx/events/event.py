"""Collision event: spacepoints, the particles that made them where they are known, and the networks' features."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from exatrkx.checks import MM_PER_UNIT, check_lengths

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Identifiers = npt.NDArray[np.uint64]

NOISE: Final = 0
"""The identifier of what is no particle."""

BARCODE_BITS: Final = {"pv": 12, "sv": 12, "part": 16, "gen": 8, "subpart": 16}
"""Of the numbers of an ACTS barcode: primary and secondary vertex, particle, generation, sub-particle."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Particles:
    """The generated and simulated particles of an event, one entry each, P in all.

    Attributes:
        particle_id: [P] unique within the event.
        pdg: [P] PDG particle code.
        charge: [P] in units of e.
        vx, vy, vz: [P] production vertex in mm.
        px, py, pz: [P] momentum at production in GeV.
        primary: [P] True for a particle that the generator made, False for one made in the detector's material.
    """

    particle_id: npt.NDArray[np.uint64]
    pdg: npt.NDArray[np.int32]
    charge: FloatArray
    vx: FloatArray
    vy: FloatArray
    vz: FloatArray
    px: FloatArray
    py: FloatArray
    pz: FloatArray
    primary: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.particle_id)

    def __repr__(self) -> str:
        return f"Particles({len(self)})"

    @property
    def pt(self) -> FloatArray:
        """[P] transverse momentum in GeV."""
        return np.hypot(self.px, self.py)

    @property
    def eta(self) -> FloatArray:
        """[P] pseudorapidity of the momentum."""
        with np.errstate(divide="ignore", invalid="ignore"):
            eta: FloatArray = np.arcsinh(self.pz / self.pt)
        return eta

    @property
    def vr(self) -> FloatArray:
        """[P] distance of the production vertex from the beam axis in mm."""
        return np.hypot(self.vx, self.vy)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Truth:
    """Truth links: which particle made which spacepoint, and in which order along its way.

    One entry per (spacepoint, particle) pair, H in all: a spacepoint of no particle has none, one of two has two.

    Attributes:
        particles: the P particles.
        spacepoint: [H] index into the event's spacepoints.
        particle: [H] index into `particles`.
        order: [H] 0, 1, 2, … along the particle's way from its production.
    """

    particles: Particles
    spacepoint: IntArray
    particle: IntArray
    order: IntArray

    def __len__(self) -> int:
        return len(self.spacepoint)

    def __repr__(self) -> str:
        return f"Truth({len(self)} hits of {len(self.particles)} particles)"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Event:
    """One collision event of N spacepoints.

    Attributes:
        event_id: number of the event in its sample.
        x, y, z: [N] position in mm; z along the beam, the origin at the detector's centre.
        truth: None when nothing is known of the particles.
    """

    event_id: int
    x: FloatArray
    y: FloatArray
    z: FloatArray
    truth: Truth | None = None

    def __post_init__(self) -> None:
        if not len(self.x) == len(self.y) == len(self.z):
            raise ValueError(
                f"event {self.event_id}: x, y and z must have one length, "
                f"found {len(self.x)}, {len(self.y)}, {len(self.z)}"
            )

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        truth = "no truth" if self.truth is None else f"{len(self.truth.particles)} particles"
        return f"Event({self.event_id}: {len(self)} spacepoints, {truth})"

    @property
    def r(self) -> FloatArray:
        """[N] distance from the beam axis in mm."""
        return np.hypot(self.x, self.y)

    @property
    def eta(self) -> FloatArray:
        """[N] pseudorapidity of the position, seen from the detector's centre."""
        with np.errstate(divide="ignore", invalid="ignore"):
            eta: FloatArray = np.arcsinh(self.z / self.r)
        return eta


def order_within(group: IntArray, key: npt.NDArray[np.generic]) -> IntArray:
    """[H] rank of each entry among those of its group, 0, 1, 2, … by rising key; equals keep their order."""
    along = np.lexsort((key, group))
    sorted_group = group[along]
    order = np.empty(len(group), dtype=np.int64)
    order[along] = np.arange(len(group)) - np.searchsorted(sorted_group, sorted_group)
    return order


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


def pack_barcodes(numbers: Identifiers) -> Identifiers:
    """[P] identifiers of ACTS barcodes, which sort as those do, of [P,5] numbers in the order of `BARCODE_BITS`.

    Raises:
        ValueError: a number needs more bits than it has.
    """
    packed = np.zeros(len(numbers), dtype=np.uint64)
    for column, (name, bits) in zip(numbers.T, BARCODE_BITS.items(), strict=True):
        if len(column) and int(column.max()) >> bits:
            raise ValueError(f"{name} must be below {1 << bits}, found {column.max()}")
        packed = (packed << np.uint64(bits)) | column
    return packed


def generation(barcodes: Identifiers) -> Identifiers:
    """[P] steps in the detector's material from a particle of the generator, which has 0, to each of these."""
    return (barcodes >> np.uint64(BARCODE_BITS["subpart"])) & np.uint64((1 << BARCODE_BITS["gen"]) - 1)


def features(event: Event) -> npt.NDArray[np.float32]:
    """[N,3] FP32 array of (r / 1000 mm, φ / π, z / 1000 mm), the pipeline's `FEATURES`.

    Source: the Exa.TrkX convention (Ju et al., Eur. Phys. J. C 81 (2021) 876), with φ in (−π, π].

    Raises:
        UnitsError: the lengths fit no detector: they are in cm, say, and not in mm.
    """
    r = event.r
    check_lengths(r, event.z, f"event {event.event_id}")
    # In FP64 and rounded once: FP32's last place depends on the processor, and with it now and then a label.
    phi = np.arctan2(event.y.astype(np.float64), event.x.astype(np.float64))
    columns = (r / MM_PER_UNIT, phi / np.pi, event.z / MM_PER_UNIT)
    stacked: npt.NDArray[np.float32] = np.stack(columns, axis=1).astype(np.float32)
    return stacked


def positions(feature_array: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], ...]:
    """x, y, z in mm, each [N], from a [N,3] array of features: the inverse of `features`, to FP32 rounding."""
    r, phi, z = feature_array.T
    r_mm = r * MM_PER_UNIT
    return r_mm * np.cos(phi * np.pi), r_mm * np.sin(phi * np.pi), z * MM_PER_UNIT
