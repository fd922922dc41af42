"""The stages' CUDA kernels, compiled by CuPy for the GPU at hand when they are first called."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

from exatrkx.errors import ExatrkxError

Launch: TypeAlias = Callable[..., None]
"""(kernel's name, blocks, threads per block, *arguments): the arguments are arrays and NumPy numbers of C's types."""

THREADS: Final = 128
"""Threads per block, where a kernel has no reason for another number."""

_PACKAGED: Final = Path(__file__).parent / "cuda"
_IN_REPOSITORY: Final = Path(__file__).parents[2] / "backends" / "exatrkx" / "stages" / "cuda"


def source_directory() -> Path:
    """Where the .cu files are: inside an installed package, or in the repository that it is run from.

    Raises:
        ExatrkxError: in neither place.
    """
    for directory in (_PACKAGED, _IN_REPOSITORY):
        if directory.is_dir():
            return directory
    raise ExatrkxError(f"the CUDA sources are neither in {_PACKAGED} nor in {_IN_REPOSITORY}: install again")


def launcher(file: str) -> Launch:
    """Launches the kernels of a .cu file on CuPy's current device and stream."""

    def launch(kernel: str, blocks: int, threads: int, *arguments: object) -> None:
        if blocks > 0:
            _module(file).get_function(kernel)((blocks,), (threads,), arguments)

    return launch


def blocks_for(items: int) -> int:
    """Blocks of `THREADS` threads that give each item a thread."""
    return -(-items // THREADS)


@functools.cache
def _module(file: str) -> Any:
    import cupy  # noqa: PLC0415 - only where a CuPy array has come in

    directory = source_directory()
    # CuPy keeps compiled kernels on disk under their source and options, but does not look into what is included.
    sources = b"".join(path.read_bytes() for path in sorted(directory.iterdir()))
    version = f"-DEXATRKX_SOURCES={hashlib.sha256(sources).hexdigest()}"
    code = (directory / file).read_text(encoding="utf-8")  # a server's Python may have no locale
    return cupy.RawModule(code=code, options=("-std=c++17", f"-I{directory}", version))
