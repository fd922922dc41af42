"""Freed memory is kept: the settings are taken by this C library."""

from __future__ import annotations

import resource

import pytest

from exatrkx.arrays import MALLOC_ENVIRONMENT, retain_freed_memory


def test_the_c_library_takes_the_settings() -> None:
    assert retain_freed_memory()
    assert all(value.isdecimal() for value in MALLOC_ENVIRONMENT.values())


# Over glibc's own threshold for mapping; over the largest that it takes, and over what it keeps in reserve.
@pytest.mark.parametrize("size", [4_000_000, 200_000_000])
def test_memory_that_was_freed_is_not_asked_for_again(size: int) -> None:
    retain_freed_memory()

    def work() -> None:
        for _ in range(5):
            b"1" * size

    work()
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    work()
    pages = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before
    assert pages < 2_000  # without the settings each block costs some 1,000, and 49,000
