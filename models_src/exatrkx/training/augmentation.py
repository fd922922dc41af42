"""Data augmentation: events turned and mirrored, as the detector's symmetry allows, and a real detector's faults."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import torch

from exatrkx.training.events import NO_PARTICLE, along_particles, part, sequential_edges

if TYPE_CHECKING:
    from torch import Tensor

    from exatrkx.training.events import TrainingEvent
    from exatrkx.training.recipes import Faults

MM: Final = 1e-3
"""In the columns' unit of length, m."""


def augment(event: TrainingEvent, generator: torch.Generator, faults: Faults | None = None) -> TrainingEvent:
    """The event turned by a random angle about the beam, and mirrored in z and in φ, each half of the time.

    The detector and the physics are symmetric under all three but for the gaps between modules.

    Args:
        event: as simulated.
        generator: on the CPU; what it gives decides everything.
        faults: none unless given.
    """
    if faults is not None and faults.share > 0.0:
        event = _with_faults(event, generator, faults)
    turn, mirror_z, mirror_phi = torch.rand(3, generator=generator).tolist()
    r, phi, z = event.features.unbind(dim=1)
    phi = _wrapped(phi * math.copysign(1.0, mirror_phi - 0.5) + 2.0 * turn)
    z = z * math.copysign(1.0, mirror_z - 0.5)
    return replace(event, features=torch.stack((r, phi, z), dim=1))


def _with_faults(event: TrainingEvent, generator: torch.Generator, faults: Faults) -> TrainingEvent:
    chance, lost, noise, shift, smearing, angle = torch.rand(6, generator=generator).tolist()
    seed = int(torch.randint(1 << 62, (1,), generator=generator))
    if chance >= faults.share or not len(event):
        return event
    own = torch.Generator(event.features.device).manual_seed(seed)
    if faults.lost > 0.0:
        event = without(event, torch.rand(len(event), generator=own, device=event.features.device) < lost * faults.lost)
    event = _with_noise(event, round(noise * faults.noise * len(event)), own)
    features = _smeared(event.features, smearing * faults.smearing * MM, own)
    return replace(event, features=_shifted(features, shift * faults.shift * MM, 2.0 * math.pi * angle))


def without(event: TrainingEvent, missed: Tensor) -> TrainingEvent:
    """The event without the spacepoints where `missed`, [N] BOOL, is true; its tracks go on at the next one."""
    places = along_particles(event.particle, event.order)
    missed_so_far = torch.cumsum(missed[places // event.particle.size(1)], dim=0)
    order = event.order.flatten()
    order = order.index_copy(0, places, order[places] - missed_so_far).view_as(event.order)
    left = part(replace(event, order=order), ~missed)
    return replace(left, true_edges=sequential_edges(left.particle, left.order))


def _with_noise(event: TrainingEvent, count: int, generator: torch.Generator) -> TrainingEvent:
    """With `count` spacepoints of no particle: r and z of one spacepoint, where modules are, and φ of another one."""
    if not len(event):
        return event
    features = event.features
    place = torch.randint(len(event), (2, count), generator=generator, device=features.device)
    noise = features[place[0]]
    noise[:, 1] = features[place[1], 1]
    nobody = torch.full_like(event.particle[place[0]], NO_PARTICLE)
    return replace(
        event,
        features=torch.cat((features, noise)),
        particle=torch.cat((event.particle, nobody)),
        order=torch.cat((event.order, torch.zeros_like(nobody))),
    )


def _smeared(features: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    r, phi, z = features.unbind(dim=1)
    across, along = sigma * torch.randn((2, len(r)), generator=generator, device=features.device)
    return torch.stack((r, _wrapped(phi + across / (math.pi * r.clamp(min=MM))), z + along), dim=1)


def _shifted(features: Tensor, distance: float, angle: float) -> Tensor:
    r, phi, z = features.unbind(dim=1)
    x = r * torch.cos(math.pi * phi) + distance * math.cos(angle)
    y = r * torch.sin(math.pi * phi) + distance * math.sin(angle)
    return torch.stack((torch.hypot(x, y), torch.atan2(y, x) / math.pi, z), dim=1)


def _wrapped(phi: Tensor) -> Tensor:
    """[N] φ/π in [−1, 1]."""
    return phi - 2.0 * torch.round(phi / 2.0)
