"""Data files of the project: in a checkout, in an installed package, and in neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from exatrkx.errors import ExatrkxError
from exatrkx.project_files import ProjectFiles, project_files
from exatrkx.stages.cuda import source_directory

ROOT = Path(__file__).resolve().parents[2]


def fill(root: Path) -> ProjectFiles:
    files = ProjectFiles(root / "backends", root / "model_repository", root, root / "data" / "events")
    for folder in (files.backends, files.model_repository, files.events):
        folder.mkdir(parents=True)
    return files


def test_those_of_this_checkout() -> None:
    found = project_files()
    assert found.is_checkout
    assert found.backends == ROOT / "backends"
    assert (found.model_repository / "exatrkx_ensemble" / "config.pbtxt").is_file()
    assert (found.package / "contract.py").is_file()
    assert len(list(found.events.glob("*.parquet"))) == 2


def test_the_cuda_sources_are_found_by_the_same_rule() -> None:
    assert source_directory() == project_files().backends / "exatrkx" / "stages" / "cuda"


def test_those_of_an_installed_package(tmp_path: Path) -> None:
    package = tmp_path / "lib" / "site-packages" / "exatrkx"
    files = fill(package / "share")
    found = project_files(package)
    assert not found.is_checkout
    assert (found.backends, found.model_repository, found.events) == (
        files.backends,
        files.model_repository,
        files.events,
    )


def test_a_checkout_goes_before_what_is_installed(tmp_path: Path) -> None:
    package = tmp_path / "models_src" / "exatrkx"
    fill(tmp_path)
    fill(package / "share")
    assert project_files(package) == ProjectFiles(
        tmp_path / "backends", tmp_path / "model_repository", package, tmp_path / "data" / "events"
    )


def test_a_package_that_was_installed_without_them(tmp_path: Path) -> None:
    package = tmp_path / "lib" / "site-packages" / "exatrkx"
    with pytest.raises(ExatrkxError, match=r"share: not found.*installed without the project's backends and models"):
        project_files(package)
