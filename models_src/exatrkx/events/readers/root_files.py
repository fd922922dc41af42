"""ROOT files by uproot: ACTS's `spacepoints.root`, hits of EDM4hep, and any TTree or RNTuple of named branches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import awkward as ak
import pyarrow as pa
import uproot

from exatrkx.checks import quoted
from exatrkx.errors import EventFormatError
from exatrkx.events.columns import POSITION, ColumnMapping
from exatrkx.events.event import Event
from exatrkx.events.readers import acts_root
from exatrkx.events.readers.formats import Skipped
from exatrkx.events.readers.tables import USUAL, Table, count_table, fitting_table, read_table

_AT_A_TIME: Final = "4 MB"
_TREES: Final = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple", "ROOT::Experimental::RNTuple")
_HIT: Final = ("cellID", "covMatrix", *(f"position.{name}" for name in POSITION))
"""Members of EDM4hep's `TrackerHit3D` and `TrackerHitPlane`; simulated hits have no covariance, clusters no cell."""
_EVENT_HEADER: Final = "EventHeader.eventNumber"


def read(file: Path, columns: ColumnMapping | None, skipped: Skipped) -> Iterator[Event]:
    """The events of a file."""
    with opened_file(file) as trees:
        table = _table(file, trees, columns)
        if columns is None and acts_root.is_spacepoints(table):
            with ExitStack() as stack:
                beside = [
                    (other, Tree(other, name, tree))
                    for other in acts_root.files_beside(file)
                    for name, tree in [*stack.enter_context(opened_file(other)).items()][:1]
                ]
                yield from acts_root.read_spacepoints(file, table, beside, skipped)
        else:
            yield from read_table(file, table, columns or USUAL, skipped)


def count(file: Path, columns: ColumnMapping | None) -> int:
    """How many events a file has."""
    with opened_file(file) as trees:
        return count_table(file, _table(file, trees, columns), columns or USUAL)


def holds_spacepoints(file: Path) -> bool:
    """Whether one of its trees has the branches of a position, or hits of EDM4hep."""
    with opened_file(file) as trees:
        return any(
            {*POSITION} <= {*table.names} or _collections(table)
            for table in (Tree(file, name, tree) for name, tree in trees.items())
        )


def companions(file: Path) -> list[Path]:
    """What ACTS wrote of measurements and particles."""
    return acts_root.files_beside(file)


@dataclass(frozen=True)
class Tree:
    """A TTree or an RNTuple."""

    file: Path
    name: str
    tree: Any

    @property
    def names(self) -> Sequence[str]:
        """Its branches, those within others without the name of these before a `/`; or fields, by their path."""
        return [key.rpartition("/")[2] for key in self.tree.keys()]  # noqa: SIM118 - a tree is no mapping

    def batches(self, names: Sequence[str]) -> Iterator[Any]:
        """Some megabytes at a time."""
        for arrays in self.arrays(names):
            yield pa.table({name: _arrow(_member(arrays, name)) for name in names})

    def arrays(self, names: Sequence[str]) -> Iterator[Any]:
        """Awkward arrays of some megabytes.

        Raises:
            EventFormatError: it is damaged, or a branch is of a type that cannot be read.
        """
        wanted = {key for key in self.tree.keys() if key.rpartition("/")[2] in names}  # noqa: SIM118
        chunks = self.tree.iterate(filter_name=sorted(wanted), step_size=_AT_A_TIME)
        while True:
            try:
                arrays = next(chunks, None)
            except Exception as error:  # whatever damaged bytes lead to
                raise EventFormatError(f"{self.file}: {self.name} cannot be read: {_first_line(error)}") from error
            if arrays is None:
                return
            yield arrays


@dataclass(frozen=True)
class Hits:
    """Hits of EDM4hep, all collections of an event together, as columns `x`, `y`, `z`."""

    tree: Tree
    collections: Sequence[str]

    @property
    def names(self) -> Sequence[str]:
        """Positions, and the event's number where the file has it."""
        return [*POSITION, "event"] if _EVENT_HEADER in self.tree.names else POSITION

    def batches(self, names: Sequence[str]) -> Iterator[Any]:
        """Some megabytes at a time."""
        branches = {name: [f"{one}.position.{name}" for one in self.collections] for name in names}
        if "event" in names:
            branches["event"] = [_EVENT_HEADER]
        for arrays in self.tree.arrays([branch for group in branches.values() for branch in group]):
            columns = {
                name: ak.concatenate([_member(arrays, one) for one in group], axis=1)
                for name, group in branches.items()
            }
            if "event" in columns:
                columns["event"] = ak.flatten(columns["event"])
            yield pa.table({name: _arrow(column) for name, column in columns.items()})


@contextmanager
def opened_file(file: Path) -> Iterator[dict[str, Any]]:
    """The TTrees and RNTuples of a ROOT file by their names, the last cycle of each.

    Raises:
        EventFormatError: it is damaged, or has none.
    """
    with ExitStack() as stack:
        try:
            root = stack.enter_context(uproot.open(file))
            kinds = root.classnames(cycle=False)
            trees = {name: root[name] for name, kind in kinds.items() if kind in _TREES}
        except Exception as error:  # whatever damaged bytes lead to
            raise EventFormatError(f"{file}: not a ROOT file that can be read: {_first_line(error)}") from error
        if not trees:
            raise EventFormatError(f"{file}: no TTree and no RNTuple in it, found {quoted(kinds) or 'nothing'}")
        yield trees


def _table(file: Path, trees: dict[str, Any], columns: ColumnMapping | None) -> Table:
    """The tree that a mapping names, or the first one that has what is needed."""
    wanted = columns or USUAL
    if wanted.table is not None:
        if wanted.table not in trees:
            raise EventFormatError(f"{file}: no tree {wanted.table!r} in it, found {quoted(trees)}")
        trees = {wanted.table: trees[wanted.table]}
    tables: dict[str, Table] = {name: Tree(file, name, tree) for name, tree in trees.items()}
    if columns is None or not columns.names:
        for name, tree in trees.items():
            hits = Tree(file, name, tree)
            if collections := _collections(hits):
                return Hits(hits, collections)
    return fitting_table(tables, wanted, str(file))


def _collections(table: Tree) -> list[str]:
    names = {*table.names}
    starts = {name.removesuffix(".position.x") for name in names if name.endswith(".position.x")}
    return sorted(
        one for one in starts if all(any(name.startswith(f"{one}.{member}") for name in names) for member in _HIT)
    )


def _member(arrays: Any, name: str) -> Any:
    """A branch, or a field of fields, of arrays."""
    for field in arrays.fields:
        if field.rpartition("/")[2] == name:
            return arrays[field]
    for part in name.split("."):
        arrays = arrays[part]
    return arrays


def _arrow(array: Any) -> Any:
    return ak.to_arrow(array, extensionarray=False)


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
