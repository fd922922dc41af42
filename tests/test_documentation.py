"""Documentation: links and anchors of every Markdown file lead somewhere, and nothing that must be there is missing."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from exatrkx.__main__ import COMMANDS
from exatrkx.serving.model_config import PARAMETERS

ROOT: Final = Path(__file__).resolve().parents[1]
CONFIGURATION: Final = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
FENCED: Final = re.compile(r"^ *(`{3,})[^\n]*\n.*?^ *\1`*$", re.DOTALL | re.MULTILINE)


@cache
def listed(*patterns: str) -> list[str]:
    """Files of the repository, from its root."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    files = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return files or [str(path.relative_to(ROOT)) for one in patterns for path in ROOT.glob(f"**/{one}")]


@cache
def prose(page: str) -> str:
    """A page's text without its examples."""
    return FENCED.sub("", (ROOT / page).read_text(encoding="utf-8"))


@cache
def anchors(page: str) -> set[str]:
    """Anchors of its headings, as GitHub makes them."""
    titles = re.findall(r"^#+ +(.*?) *$", prose(page), re.MULTILINE)
    plain = [re.sub(r"\[(.*?)\]\(.*?\)", r"\1", title).lower() for title in titles]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain}


def links(page: str) -> list[tuple[str, str]]:
    """File, from the root of the repository, and anchor of each link to the repository."""
    found = re.findall(r"\]\((?!\w+:)([^)\s#]*)(?:#([^)\s]*))?\)", prose(page))
    inside = [((ROOT / page).parent / file if file else ROOT / page, anchor) for file, anchor in found]
    return [(str(path.resolve().relative_to(ROOT)), anchor) for path, anchor in inside]


@pytest.mark.parametrize("page", listed("*.md"))
def test_links_lead_somewhere(page: str) -> None:
    for file, anchor in links(page):
        assert (ROOT / file).is_file(), file
        assert not anchor or anchor in anchors(file), f"{file}#{anchor}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, new = {"README.md"}, ["README.md"]
    while new:
        new = sorted({file for page in new for file, _ in links(page) if file.endswith(".md")} - reached)
        reached |= set(new)
    assert set(listed("*.md")) - reached == set()


def test_the_navigation_leads_to_pages() -> None:
    pages = re.findall(r": (\S+\.(?:md|ipynb))$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    made = [page for page in pages if page.startswith("reference/")]
    assert all((ROOT / page).is_file() for page in pages if page not in made)
    packages = {str(Path(file).parent) for file in listed("*.py") if file.endswith("__init__.py")}
    modules = [page.removeprefix("reference/").removesuffix(".md").replace(".", "/") for page in made]
    assert all(any(package.endswith(f"/{one}") for package in packages) for one in modules if one != "commands")


def test_the_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    names = {name.partition(" ")[0] for name in COMMANDS}
    assert {name for name in names if not re.search(rf"(`|exatrkx ){name}\b", text)} == set()


def test_every_environment_variable_is_told() -> None:
    sources = [
        (ROOT / file).read_text(encoding="utf-8")
        for file in listed("*.py", "*.cpp")
        if not file.startswith(("tests/", "perf/"))
    ]
    read = {name for text in sources for name in re.findall(r'"(EXATRKX_[A-Z_]+)"', text)}
    assert len(read) > 5
    assert {name for name in read if f"`{name}`" not in CONFIGURATION} == set()


@pytest.mark.parametrize("model", ["frnn", "applyfilter", "wcc"])
def test_parameters_of_each_model_are_told(model: str) -> None:
    row = next(line for line in CONFIGURATION.splitlines() if line.startswith(f"| [`{model}`]"))
    named = set(re.findall(r"`(\w+)`", row)) - {model}
    assert named <= set(PARAMETERS[model])
    assert named == set(PARAMETERS[model]) or "track completion" in row


def test_the_tutorial_has_no_outputs() -> None:
    cells = json.loads((ROOT / "docs" / "tutorial.ipynb").read_text(encoding="utf-8"))["cells"]
    assert len(cells) > 10
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
