"""The compiled part of the package and its data files; everything else about it stands in pyproject.toml.

`exatrkx._stages` is a plain shared library that `exatrkx.stages.native` loads through ctypes. It is optional: where
there is no C++20 compiler the package installs without it, and SciPy does its work.
"""

from pathlib import Path
from shutil import copytree, ignore_patterns, rmtree

from setuptools import Extension, setup
from setuptools.command.build_py import build_py

STAGES = Path("backends/exatrkx/stages")
SHARED = ("backends", "model_repository", "data/events")
BUILT = ignore_patterns("__pycache__", "lib", "*.so", "*.pt", "*.partial")


class BuildPy(build_py):
    """Copies the data files into `exatrkx/share`; in an editable installation they are read where they are."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        share = Path(self.build_lib) / "exatrkx" / "share"
        rmtree(share, ignore_errors=True)
        for folder in SHARED:
            copytree(folder, share / folder, ignore=BUILT)


setup(
    cmdclass={"build_py": BuildPy},
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
    ],
)
