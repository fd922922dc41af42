"""Events that a measurement sends: which, in which order, and as the file that `perf_analyzer --input-data` reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from exatrkx.checks import check_finite
from exatrkx.contract import ENSEMBLE
from exatrkx.events.readers import read_events
from exatrkx.files import named, write_files
from exatrkx.serving.model_config import read_working_point
from exatrkx_client.credentials import Credentials
from exatrkx_client.served_features import ServedFeatures
from exatrkx_client.triton_api import TritonApi
from exatrkx_perf.errors import PerfError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from exatrkx_client.address import Address

FeatureArray = npt.NDArray[np.float32]

INPUT: Final = ENSEMBLE.inputs[0]
POSITION: Final = ServedFeatures()
"""FEATURES of the position alone, as the shipped networks take them."""


@dataclass(frozen=True, slots=True)
class EventSample:
    """The events of a measurement as the pipeline takes them.

    Attributes:
        name: what to call them: the files' names.
        arrays: [N,F] FP32 features of each event, in the order in which they are sent.
    """

    name: str
    arrays: tuple[FeatureArray, ...]

    def __len__(self) -> int:
        return len(self.arrays)

    @property
    def spacepoints(self) -> npt.NDArray[np.int64]:
        """[events] number of spacepoints of each."""
        return np.array([len(array) for array in self.arrays], dtype=np.int64)

    def nearest(self, spacepoints: int) -> FeatureArray:
        """The event whose size is nearest to this one."""
        return self.arrays[int(np.argmin(np.abs(self.spacepoints - spacepoints)))]


def features_of_repository(repository: Path) -> ServedFeatures:
    """The columns of FEATURES that a model repository's networks take.

    Raises:
        ContractError: its configurations say nothing of the working point, or contradict each other.
    """
    point = read_working_point(repository)
    return ServedFeatures(point.num_features, point.extra)


def features_of_server(
    address: Address, models: Sequence[str], credentials: Credentials | None = None
) -> ServedFeatures:
    """The columns of FEATURES that these models of a server take.

    Raises:
        ClientError: the server does not answer, or has no such model.
        PerfError: they take different ones, so that no sample is for all of them.
    """
    with TritonApi(address, credentials=credentials) as api:
        found = [ServedFeatures.of_model(api.describe(model), api.config(model), str(address)) for model in models]
    for model, taken in zip(models, found, strict=True):
        if taken != found[0]:
            raise PerfError(f"{address}: {models[0]} takes {found[0]}, and {model} takes {taken}; measure them in turn")
    return found[0]


def read_sample(
    paths: Sequence[str | Path],
    limit: int | None = None,
    size: tuple[int, int] | None = None,
    taken: ServedFeatures = POSITION,
) -> EventSample:
    """Read events of files, folders or patterns: at most `limit`, of so many spacepoints, both ends of `size` included.

    Args:
        paths: of the events.
        limit: on their number.
        size: of an event.
        taken: by the networks.

    Raises:
        MissingColumnError: an event lacks one of the columns.
        EventFormatError: a file is not one of events.
        PerfError: no event is left.
    """
    low, high = size or (0, None)
    found = (taken.array_of(event) for event in read_events(paths))
    wanted = (array for array in found if len(array) >= low and (high is None or len(array) <= high))
    arrays = list(islice(wanted, limit))
    if not arrays:
        raise PerfError(
            f"{', '.join(map(str, paths))}: no events" + (f" of {low} to {high} spacepoints" if size else "")
        )
    name = "+".join(str(path).rstrip("/").rpartition("/")[2] for path in paths)
    return EventSample(name, tuple(arrays[i] for i in balanced_order([len(array) for array in arrays])))


def balanced_order(sizes: Sequence[int]) -> list[int]:
    """An order of events in which every run of neighbours is a fair sample of the sizes.

    A measurement's window may end in the middle of a round over the events; sent in this order, the events of the
    part are not larger or smaller than those of the whole. The sizes' ranks follow van der Corput's sequence.

    Returns:
        Indices into `sizes`, each once.
    """
    by_size = sorted(range(len(sizes)), key=lambda i: sizes[i])
    bits = max(len(sizes) - 1, 0).bit_length()
    ranks = (int(f"{i:0{bits}b}"[::-1], 2) if bits else 0 for i in range(1 << bits))
    return [by_size[rank] for rank in ranks if rank < len(sizes)]


def write_input_file(sample: EventSample, path: Path) -> None:
    """Write the sample's events, one entry each; a reader sees the whole file or none.

    Format: `{"data": [{"FEATURES": {"content": [...], "shape": [N, F]}}, …]}`, Triton's perf_analyzer documentation.

    Raises:
        ContractError: an event has features that are not finite, for which JSON has no number.
        OutputError: the file cannot be written.
    """
    data = []
    for array in sample.arrays:
        check_finite(array, INPUT.name)
        numbers = [float(str(value)) for value in array.ravel()]  # the digits that bring back the same FP32 value
        data.append({INPUT.name: {"content": numbers, "shape": array.shape}})
    with named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_files({path: json.dumps({"data": data}).encode() + b"\n"})
