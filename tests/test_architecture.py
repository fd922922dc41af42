"""Layers of imports: rooms in one order, no circle between modules, and few modules on the way from a file to labels.

Imports are read from the sources (`ast`), those within functions included. Those under `if TYPE_CHECKING` bind no
module to another when it runs: they must not point upwards either, but are left out of circles and of the count.

How the modules from a file to labels are counted: all that are imported, directly or through others, by
`exatrkx.events.readers`, which finds the reader of a file, by `exatrkx.events.parquet`, which reads those of this
project (readers are imported by name, and a file needs one), and by `exatrkx.pipeline`, which gives the labels; these
are counted too. An `__init__.py` that holds nothing but a docstring, imports and `__all__` is not counted, for there is
nothing to read in it, but what it imports is followed where a name is taken from it.
"""

from __future__ import annotations

import ast
import functools
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT: Final = Path(__file__).parents[1]

PACKAGES: Final = {
    "exatrkx": ROOT / "models_src",
    "exatrkx_client": ROOT / "client",
    "exatrkx_batch": ROOT / "client",
    "exatrkx_acts": ROOT / "client",
    "exatrkx_server": ROOT / "deploy",
    "exatrkx_perf": ROOT / "perf",
}

ROOMS: Final = (
    ("exatrkx.errors",),
    ("exatrkx.files", "exatrkx.progress"),
    ("exatrkx.commands", "exatrkx.journal", "exatrkx.run_settings"),
    ("exatrkx.contract", "exatrkx.arrays", "exatrkx.project_files"),
    ("exatrkx.checks", "exatrkx.digest", "exatrkx.working_point"),
    ("exatrkx.fitting",),
    ("exatrkx.events",),
    ("exatrkx.stages", "exatrkx.networks"),
    ("exatrkx.pipeline",),
    ("exatrkx.performance", "exatrkx.serving"),
    ("exatrkx.reporting",),
    ("exatrkx.simulation", "exatrkx.training", "exatrkx.validation"),
    ("exatrkx.ckf",),
    ("exatrkx_client",),
    ("exatrkx_server",),
    ("exatrkx_acts", "exatrkx_batch", "exatrkx_perf", "exatrkx.validation.__main__"),
    ("exatrkx.validate", "exatrkx.__main__"),
)
"""From the bottom to the top. A module imports from rooms below its own and from its own, not from those beside it.

A name stands for a module and all that is below it, unless a longer name here does."""

START: Final = ("exatrkx.events.readers", "exatrkx.events.parquet", "exatrkx.pipeline")
MOST_MODULES: Final = 25


@functools.cache
def sources() -> dict[str, Path]:
    """Every module of the packages by its dotted name."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted((folder / package).rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


class Imports(ast.NodeVisitor):
    """The packages' modules that a source imports: when it runs, and for its types alone."""

    def __init__(self, module: str) -> None:
        self.when_run: set[str] = set()
        self.for_types: set[str] = set()
        self._into = self.when_run
        self._module = module
        self.visit(ast.parse(sources()[module].read_text(encoding="utf-8")))

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self.generic_visit(node)
            return
        self._into = self.for_types
        for one in node.body:
            self.visit(one)
        self._into = self.when_run
        for one in node.orelse:
            self.visit(one)

    def visit_Import(self, node: ast.Import) -> None:
        self._add(alias.name for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.level == 0, f"{self._module}: relative import"
        # `from package import name`: a module of the package where there is one, else a name within the package.
        dotted = [f"{node.module}.{alias.name}" for alias in node.names]
        self._add(name if name in sources() else str(node.module) for name in dotted)

    def _add(self, names: Iterable[str]) -> None:
        self._into |= {name for name in names if name in sources()} - {self._module}


@functools.cache
def imports(module: str) -> Imports:
    return Imports(module)


def room(module: str) -> tuple[int, str]:
    """How high the module's room lies, and its name."""
    fits = [
        (len(name), level, name)
        for level, names in enumerate(ROOMS)
        for name in names
        if module == name or module.startswith(f"{name}.")
    ]
    assert fits, f"{module} is in no room"
    _, level, name = max(fits)
    return level, name


def holds_something(module: str) -> bool:
    """Whether there is more in a module than a docstring, imports and `__all__`."""
    path = sources()[module]
    if path.name != "__init__.py":
        return True
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return not all(
        isinstance(one, ast.Import | ast.ImportFrom)
        or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
        or (isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "__all__")
        for one in body
    )


@pytest.mark.parametrize("module", [name for name in sources() if name != "exatrkx"])
def test_imports_point_downwards(module: str) -> None:
    level, name = room(module)
    found = imports(module)
    for other in found.when_run | found.for_types:
        if other == "exatrkx":  # its version
            continue
        other_level, other_name = room(other)
        assert other_level < level or other_name == name, f"{module} imports {other}"


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_no_circle(package: str) -> None:
    graph = {name: imports(name).when_run for name in sources() if name.partition(".")[0] == package}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_few_modules_from_a_file_to_labels() -> None:
    opened, left = set(), list(START)
    while left:
        module = left.pop()
        if module not in opened:
            opened.add(module)
            left += imports(module).when_run
    counted = sorted(filter(holds_something, opened))
    assert set(START) < set(counted)
    assert len(counted) <= MOST_MODULES, counted
