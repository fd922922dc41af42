"""The compiled part of the package; everything else about it stands in pyproject.toml.

`exatrkx._stages` is a plain shared library that `exatrkx.native` loads through ctypes. It is optional: where there is
no C++20 compiler the package installs without it, and SciPy does its work.
"""

from pathlib import Path

from setuptools import Extension, setup

STAGES = Path("backends/exatrkx/stages")

setup(
    ext_modules=[
        Extension(
            "exatrkx._stages",
            sources=[str(STAGES / "c_api.cpp")],
            depends=sorted(str(header) for header in STAGES.glob("*.hpp")),
            include_dirs=[str(STAGES)],
            language="c++",
            # Distances are rounded as they are written: contraction to fused multiply-adds would change edges.
            extra_compile_args=["-std=c++20", "-O3", "-ffp-contract=off", "-fvisibility=hidden", "-pthread", "-Wall"],
            extra_link_args=["-pthread"],
            optional=True,
        )
    ]
)
