"""Freed memory is kept: the settings are taken by this C library."""

from __future__ import annotations

import resource

import numpy as np

from exatrkx.arrays import MALLOC_ENVIRONMENT, retain_freed_memory


def test_the_c_library_takes_the_settings() -> None:
    assert retain_freed_memory()
    assert all(value.isdecimal() for value in MALLOC_ENVIRONMENT.values())


def test_memory_that_was_freed_is_not_asked_for_again() -> None:
    retain_freed_memory()

    def work() -> None:
        for _ in range(20):
            np.ones(1_000_000, dtype=np.float32)  # 4 MB, over glibc's own threshold for mapping

    work()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work()
    pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert pages < 2_000  # without the settings each array costs some 1,000
