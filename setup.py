"""The compiled part of the package; everything else about it stands in pyproject.toml.

`exatrkx._stages` is a plain shared library that `exatrkx.stages.native` loads through ctypes. It is optional: where
there is no C++20 compiler the package installs without it, and SciPy does its work.
"""

from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_py import build_py

STAGES = Path("backends/exatrkx/stages")


class BuildPy(build_py):
    """Copies the CUDA sources into the package; in an editable installation they are read where they are."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "exatrkx" / "cuda"
        target.mkdir(parents=True, exist_ok=True)
        for source in sorted((STAGES / "cuda").iterdir()):
            self.copy_file(str(source), str(target / source.name))


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
