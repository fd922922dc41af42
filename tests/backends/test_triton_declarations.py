"""Triton's backend API as triton/declarations.hpp declares it, against the library of the server that is installed."""

from __future__ import annotations

import ctypes
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil
import pytest

if TYPE_CHECKING:
    from exatrkx_server import TritonServer

pytestmark = pytest.mark.server

ROOT: Final = Path(__file__).resolve().parents[2]
DECLARATIONS: Final = (ROOT / "backends" / "exatrkx" / "triton" / "declarations.hpp").read_text()
NAMED: Final = {
    "TRITONSERVER_TYPE_": "TRITONSERVER_DataTypeString",
    "TRITONSERVER_MEMORY_": "TRITONSERVER_MemoryTypeString",
    "TRITONSERVER_PARAMETER_": "TRITONSERVER_ParameterTypeString",
    "TRITONSERVER_INSTANCEGROUPKIND_": "TRITONSERVER_InstanceGroupKindString",
}
"""Prefix of enumerators, and the function that names them."""


def values(prefix: str) -> dict[str, int]:
    """Declared numbers by name, without the prefix."""
    found = {name: int(number) for name, number in re.findall(rf"\b{prefix}(\w+) = (\d+)", DECLARATIONS)}
    assert found, prefix
    return found


def ask(library: ctypes.CDLL) -> dict[str, Any]:
    """What the library says of each function and number that is declared."""
    names: dict[str, str] = {}
    for prefix, function in NAMED.items():
        getattr(library, function).restype = ctypes.c_char_p
        names |= {prefix + name: getattr(library, function)(number).decode() for name, number in values(prefix).items()}
    library.TRITONSERVER_ErrorNew.restype = ctypes.c_void_p
    library.TRITONSERVER_ErrorCodeString.restype = ctypes.c_char_p
    for name, number in values("TRITONSERVER_ERROR_").items():
        error = ctypes.c_void_p(library.TRITONSERVER_ErrorNew(number, b""))
        names["TRITONSERVER_ERROR_" + name] = library.TRITONSERVER_ErrorCodeString(error).decode()
        library.TRITONSERVER_ErrorDelete(error)
    version = (ctypes.c_uint32(), ctypes.c_uint32())
    assert library.TRITONBACKEND_ApiVersion(*map(ctypes.byref, version)) == 0
    declared = re.findall(r"\b(TRITON(?:SERVER|BACKEND)_\w+)\(", DECLARATIONS)
    return {
        "missing": [name for name in declared if not hasattr(library, name)],
        "declared": len(declared),
        "names": names,
        "version": [part.value for part in version],
    }


@pytest.fixture(scope="module")
def said(server: TritonServer) -> Any:
    """Asked in another process: the server's libraries are not for this one."""
    process = psutil.Process(server.pid)
    mapped = {Path(area.path) for area in process.memory_maps()}
    (library,) = [path for path in mapped if path.name.startswith("libtritonserver")]
    command = [sys.executable, __file__, str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=process.environ())
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_server_has_every_function_that_is_declared(said: Any) -> None:
    assert said["declared"] > 30
    assert said["missing"] == []


def test_the_server_gives_each_number_the_name_that_it_is_declared_with(said: Any) -> None:
    assert len(said["names"]) == 13
    # For this one the server itself has none; that it is what gRPC calls CANCELLED, tests/served/test_limits.py sees.
    assert said["names"].pop("TRITONSERVER_ERROR_CANCELLED") == "<invalid code>"
    for declared, name in said["names"].items():
        word = name.upper().replace(" ", "_")
        assert re.sub(r"_ARG$", "_ARGUMENT", declared).endswith(f"_{word}"), (declared, name)


def test_the_server_speaks_the_version_that_is_declared(said: Any) -> None:
    wanted = values("TRITONBACKEND_API_VERSION_")
    assert said["version"][0] == wanted["MAJOR"]
    assert said["version"][1] >= wanted["MINOR"]


if __name__ == "__main__":
    print(json.dumps(ask(ctypes.CDLL(sys.argv[1]))))
