"""The file that `perf_analyzer --input-data` reads: real events, each with its own shape."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from exatrkx.checks import check_finite
from exatrkx.contract import ENSEMBLE

if TYPE_CHECKING:
    from pathlib import Path

    from exatrkx_perf.events import Sample

INPUT = ENSEMBLE.inputs[0].name


def write_input_file(sample: Sample, path: Path) -> None:
    """Write the sample's events, one entry each; a reader sees the whole file or none.

    Numbers are written with the digits that bring back the same FP32 value.

    Raises:
        ContractError: an event has features that are not finite, for which JSON has no number.

    Format: `{"data": [{"FEATURES": {"content": [...], "shape": [N, 3]}}, …]}`, Triton's perf_analyzer documentation.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    with unfinished.open("w") as stream:
        stream.write('{"data": [')
        for number, array in enumerate(sample.arrays):
            check_finite(array, INPUT)
            content = ", ".join(map(str, array.ravel()))
            shape = json.dumps(list(array.shape))
            stream.write(f'{"," if number else ""}\n{{"{INPUT}": {{"content": [{content}], "shape": {shape}}}}}')
        stream.write("\n]}\n")
    unfinished.replace(path)
