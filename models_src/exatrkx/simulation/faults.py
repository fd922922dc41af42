"""Faults of the detector, applied to ACTS's simulated hits: lost, displaced and noise hits."""

from __future__ import annotations

from typing import Any, Final

import acts
import acts.examples as ex
import numpy as np
import numpy.typing as npt

from exatrkx.simulation.modules import FloatArray, IntArray, Modules
from exatrkx.simulation.profile import DetectorProfile
from exatrkx.simulation.resolution import LONG_STRIPS, PIXELS, SHORT_STRIPS
from exatrkx.simulation.settings import fault_stream

NOISE_DEPOSIT: Final = 1e-4
"""Energy in GeV that a noise hit deposits: what a minimum-ionising particle leaves, above any threshold."""

BoolArray = npt.NDArray[np.bool_]


class Faults:
    """The faults of one detector: which modules are dead, where each module is, and what befalls the hits of an event.

    Args:
        profile: how many and how far.
        modules: of the detector.
        seed: of everything random.
    """

    def __init__(self, profile: DetectorProfile, modules: Modules, seed: int) -> None:
        self._profile, self._modules, self._seed = profile, modules, seed
        random = fault_stream(seed)
        self.dead: BoolArray = random.random(len(modules)) < profile.dead_modules
        self.moved: FloatArray = random.normal(scale=profile.misalignment, size=(len(modules), 2))
        self._inefficiency = np.zeros(len(modules))
        for volumes, lost in (
            (PIXELS, profile.pixel_inefficiency),
            (SHORT_STRIPS, profile.short_strip_inefficiency),
            (LONG_STRIPS, profile.long_strip_inefficiency),
        ):
            self._inefficiency[np.isin(modules.volume, volumes)] = lost

    def event(self, number: int, module: IntArray) -> tuple[BoolArray, FloatArray, IntArray, FloatArray]:
        """What befalls the hits of the event of this number.

        Args:
            number: selects the random numbers.
            module: [H] of each hit.

        Returns:
            [H] whether a hit is kept, [H,3] by how much it is displaced in mm; [K] module and [K,3] position in mm of
            each noise hit.
        """
        random = fault_stream(self._seed, number)
        kept = (random.random(len(module)) >= self._inefficiency[module]) & ~self.dead[module]
        local = self.moved[module] + random.normal(scale=self._profile.smearing, size=(len(module), 2))
        alive = np.flatnonzero(~self.dead)
        count = random.poisson(self._profile.noise * np.count_nonzero(kept)) if len(alive) else 0
        noisy = random.choice(alive, count) if count else alive[:0]
        noise = self._modules.position(noisy, self._modules.anywhere(noisy, random))
        return kept, self._modules.displacement(module, local), noisy, noise


class FaultyHits(ex.IAlgorithm):  # type: ignore[misc]  # acts ships no types
    """Puts the hits of a detector with faults on ACTS's whiteboard, made of those of an ideal one."""

    def __init__(self, profile: DetectorProfile, modules: Modules, seed: int, hits: str, output: str) -> None:
        super().__init__("FaultyHits", acts.logging.ERROR)
        self._faults, self._modules = Faults(profile, modules, seed), modules
        self._displaced = profile.smearing > 0.0 or profile.misalignment > 0.0
        self._hits = ex.ReadDataHandle(self, ex.SimHitContainer, "InputHits")
        self._hits.initialize(hits)
        self._output = ex.WriteDataHandle(self, ex.SimHitContainer, "OutputHits")
        self._output.initialize(output)

    def execute(self, context: Any) -> Any:
        hits = list(self._hits(context.eventStore))
        identifier = np.asarray([hit.geometryId.value for hit in hits], dtype=np.uint64)
        module = np.searchsorted(self._modules.identifier, identifier)
        kept, shift, noisy, noise = self._faults.event(context.eventNumber, module)
        chosen = np.flatnonzero(kept)
        left = [hits[index] for index in chosen.tolist()]
        if self._displaced:
            left = [_displaced(hit, by) for hit, by in zip(left, shift[chosen].tolist(), strict=True)]
        left += [self._noise_hit(*one) for one in zip(noisy.tolist(), noise.tolist(), strict=True)]
        container = ex.SimHitContainer()
        # The container is sorted by module, and takes each hit at its end in no time.
        for index in np.argsort(np.concatenate((module[chosen], noisy)), kind="stable").tolist():
            container.insert(left[index])
        self._output(context, container)
        return ex.ProcessCode.SUCCESS

    def _noise_hit(self, module: int, position: list[float]) -> Any:
        direction = np.cross(*self._modules.axes[module])
        before, after = (acts.Vector4(*direction, energy) for energy in (1.0, 1.0 - NOISE_DEPOSIT))
        return ex.SimHit(self._modules.surface[module], ex.SimBarcode(), acts.Vector4(*position, 0.0), before, after, 0)


def _displaced(hit: Any, by: list[float]) -> Any:
    at = hit.fourPosition
    place = acts.Vector4(at[0] + by[0], at[1] + by[1], at[2] + by[2], at[3])
    return ex.SimHit(hit.geometryId, hit.particleId, place, hit.momentum4Before, hit.momentum4After, hit.index)
