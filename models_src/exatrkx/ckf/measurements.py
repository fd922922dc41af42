"""Measurement errors with alignment errors: what a filter must know of modules that are not where it thinks.

ACTS's digitisation gives each measurement the error of its cluster alone. Added in quadrature is by how much hits are
displaced besides, as every experiment adds its alignment errors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import acts
import acts.examples as ex

from exatrkx.simulation.detector import MEASUREMENT_CONTAINER, MEASUREMENTS
from exatrkx.simulation.profile import DetectorProfile

_LEVEL = acts.logging.ERROR


class Measured:
    """The names under which ACTS's whiteboard has the measurements with those errors.

    Args:
        profile: of the detector; where it displaces no hits, they are the simulation's own measurements.

    Attributes:
        container: of the measurements, which indices refer to.
        all: of the subset that has every one of them.
    """

    def __init__(self, profile: DetectorProfile) -> None:
        self._error = math.hypot(profile.misalignment, profile.smearing)
        self.container, self.all = MEASUREMENT_CONTAINER, MEASUREMENTS
        if self._error:
            self.container, self.all = "measurements_with_alignment", "all_measurements_with_alignment"

    def algorithms(self) -> Iterator[Any]:
        """What makes them of the simulation's, with the same indices; nothing where these are the same."""
        if self._error:
            yield _AlignmentErrors(self._error, self.container)
            yield _Subset(self.container, self.all)


class _AlignmentErrors(ex.IAlgorithm):  # type: ignore[misc]  # acts ships no types
    def __init__(self, error: float, output: str) -> None:
        super().__init__("AlignmentErrors", _LEVEL)
        self._variance = (error * acts.UnitConstants.mm) ** 2
        self._input = ex.ReadDataHandle(self, ex.MeasurementContainer, "Measurements")
        self._input.initialize(MEASUREMENT_CONTAINER)
        self._output = ex.WriteDataHandle(self, ex.MeasurementContainer, "OutputMeasurements")
        self._output.initialize(output)

    def execute(self, context: Any) -> Any:
        measured, more = self._input(context.eventStore), self._variance
        output = ex.MeasurementContainer()
        output.reserve(len(measured))
        for one in measured:
            place, error = one.fullParameters, one.fullCovariance
            variances = [error[0, 0] + more, error[1, 1] + more]
            output.emplaceMeasurement(one.geometryId, [0, 1], [place[0], place[1]], variances)
        self._output(context, output)
        return ex.ProcessCode.SUCCESS


class _Subset(ex.IAlgorithm):  # type: ignore[misc]  # acts ships no types
    """An algorithm of its own, because a container has no owner in Python once it is on the whiteboard."""

    def __init__(self, container: str, output: str) -> None:
        super().__init__("AllMeasurements", _LEVEL)
        self._input = ex.ReadDataHandle(self, ex.MeasurementContainer, "Measurements")
        self._input.initialize(container)
        self._output = ex.WriteDataHandle(self, ex.MeasurementSubset, "OutputSubset")
        self._output.initialize(output)

    def execute(self, context: Any) -> Any:
        measured = self._input(context.eventStore)
        self._output(context, ex.MeasurementSubset(measured, list(range(len(measured)))))
        return ex.ProcessCode.SUCCESS
