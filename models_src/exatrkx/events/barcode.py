"""Particle barcode of ACTS: its five numbers in one identifier of 64 bits."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

NOISE: Final = 0
"""Of what is no particle."""

BITS: Final = {"pv": 12, "sv": 12, "part": 16, "gen": 8, "subpart": 16}
"""Primary and secondary vertex, particle, generation and sub-particle, as ACTS's CSV files name them."""


def pack_barcodes(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """[P] identifiers, which sort as ACTS sorts barcodes, of [P,5] numbers in the order of `BITS`.

    Raises:
        ValueError: a number needs more bits than it has.
    """
    packed = np.zeros(len(numbers), dtype=np.uint64)
    for column, (name, bits) in zip(numbers.T, BITS.items(), strict=True):
        if len(column) and int(column.max()) >> bits:
            raise ValueError(f"{name} must be below {1 << bits}, found {column.max()}")
        packed = (packed << np.uint64(bits)) | column
    return packed


def generation(barcodes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """[P] steps in the detector's material from a particle of the generator, which has 0, to each of these."""
    return (barcodes >> np.uint64(BITS["subpart"])) & np.uint64((1 << BITS["gen"]) - 1)
