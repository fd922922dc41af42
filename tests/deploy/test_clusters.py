"""What deploy/clusters.md says of images: extras that fit Python and CUDA, and build arguments that there are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

from packaging.specifiers import SpecifierSet

ROOT: Final = Path(__file__).resolve().parents[2]
TEXT: Final = (ROOT / "deploy" / "clusters.md").read_text()
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_extras_fit_the_python_and_the_cuda_of_each_image() -> None:
    rows = re.findall(r"^\| (2\d\.\d\d.*?) \| (3\.\d+) \| (\d+)\.\d+ \| (\S+) \|", TEXT, re.MULTILINE)
    assert len(rows) == 9
    for release, python, cuda, extras in rows:
        named = extras.strip("`").split(",")
        if python in SpecifierSet(PROJECT["requires-python"]):
            assert named == ["serve", f"gpu-cu{cuda}"], release
            assert set(named) <= set(PROJECT["optional-dependencies"])
        else:
            assert named == ["none"], release


def test_build_arguments_are_those_of_the_containerfile() -> None:
    declared = re.findall(r"^ARG (\w+)", (ROOT / "deploy" / "Containerfile").read_text(), re.MULTILINE)
    given = re.findall(r"--build-arg (\w+)=", TEXT)
    assert given
    assert set(given) <= set(declared)
