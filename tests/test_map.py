"""The map in README and in the package's docstring: served models, their functions, and the files that these are in."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

import exatrkx
from exatrkx.contract import MODELS

ROOT: Final = Path(__file__).parents[1]
HEADER: Final = "| served model | function or class | Python | C++ | CUDA |"
PYTHON, CPP = ROOT / "models_src" / "exatrkx", ROOT / "backends" / "exatrkx"


def table(text: str) -> list[list[str]]:
    """The cells of the map in a text."""
    _, _, below = text.partition(HEADER + "\n")
    lines = below.partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]


README: Final = table((ROOT / "README.md").read_text(encoding="utf-8"))
DOCSTRING: Final = table(exatrkx.__doc__ or "")


def words(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def names_defined(file: Path) -> set[str]:
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return {one.name for one in body if isinstance(one, ast.FunctionDef | ast.ClassDef)}


def test_both_tables_say_the_same() -> None:
    assert [[re.sub(r"\[(.*?)\]\(.*?\)", r"\1", cell) for cell in row] for row in README] == DOCSTRING


def test_every_served_model_is_there() -> None:
    assert {words(row[0])[0] for row in DOCSTRING} == set(MODELS)


@pytest.mark.parametrize("row", DOCSTRING, ids=lambda row: " ".join(words(row[0]) + words(row[1])))
def test_files_hold_what_is_said(row: list[str]) -> None:
    function, python, cpp, cuda = words(row[1])[0], words(row[2])[0], words(row[3]), words(row[4])
    assert function in names_defined(PYTHON / python)
    if cpp:
        *named, file = cpp
        name = named[0] if named else function
        assert re.search(rf"\b{name}(::{name})?\(", (CPP / file).read_text(encoding="utf-8")), f"{name} in {file}"
    if cuda:
        assert "__global__" in (CPP / cuda[0]).read_text(encoding="utf-8")


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((.*?)\)", str(README)))))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).is_file()
