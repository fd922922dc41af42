"""Writer of a TTree, of Arrow tables that come one after the other, by uproot."""

from __future__ import annotations

import shutil
import tempfile
from typing import Any, BinaryIO, Final

import awkward as ak
import pyarrow as pa
import pyarrow.compute as pc
import uproot

TREE: Final = "tracks"


class RootWriter:
    """A ROOT file with one TTree: a branch for each column, of variable length for a list.

    uproot goes back in its file to write how long it is, so it writes one of its own, which is copied at the end.

    Args:
        stream: to which the file is written when it is closed.
        schema: the columns, of numbers or lists of them.
    """

    def __init__(self, stream: BinaryIO, schema: Any) -> None:
        self._stream = stream
        self._own = tempfile.NamedTemporaryFile(suffix=".root")  # noqa: SIM115 - closed with the file
        self._root = uproot.recreate(self._own.name)
        self._root.mktree(TREE, {field.name: _branch(field.type) for field in schema})

    def write_table(self, table: Any) -> None:
        """Add rows."""
        self._root[TREE].extend({name: _array(table[name]) for name in table.column_names})

    def close(self) -> None:
        """Write the file to the stream."""
        self._root.close()
        with self._own as own:
            shutil.copyfileobj(own, self._stream)


def _branch(kind: Any) -> str:
    return f"var * {kind.value_type}" if pa.types.is_list(kind) else ("float32" if kind == pa.float32() else str(kind))


def _array(column: Any) -> Any:
    if not pa.types.is_list(column.type):
        return column.to_numpy()
    return ak.unflatten(pc.list_flatten(column).to_numpy(), pc.list_value_length(column).to_numpy())
