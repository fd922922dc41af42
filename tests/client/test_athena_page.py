"""docs/athena.md against the contract and a server; its code is parsed and compiled, for Athena is not here."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from exatrkx.contract import CUSTOM, ENSEMBLE
from exatrkx.digest import added, features_digest, payload_digest

if TYPE_CHECKING:
    from serving import Caller

    from exatrkx.contract import ModelSpec

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = (ROOT / "docs" / "athena.md").read_text(encoding="utf-8")
VECTORS: Final = {"FP32": "`std::vector<float>`", "INT64": "`std::vector<int64_t>`"}
COMPILER: Final = shutil.which(os.environ.get("CXX", "g++"))

_FUNCTION: Final = """
StatusCode getTracks(const AthInfer::IAthInferenceTool* m_tritonTool,
                     const std::vector<const Trk::SpacePoint*>& spacepoints,
                     std::vector<std::vector<uint32_t>>& tracks) {{
{body}
return StatusCode::SUCCESS;
}}
"""


def code(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.mark.parametrize("model", [ENSEMBLE, CUSTOM], ids=lambda model: str(model.name))
def test_the_tensors_are_those_of_the_contract(model: ModelSpec) -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line[:1] == "|"]
    said = {tuple(row[:5]) for row in rows if row[1] in ("input", "output")}
    assert said == {
        (f"`{tensor.name}`", kind, tensor.datatype, f"[{','.join(map(str, tensor.dims))}]", VECTORS[tensor.datatype])
        for kind, tensors in (("input", model.inputs), ("output", model.outputs))
        for tensor in tensors
    }
    assert any(row[0] == f"`{model.name}`" for row in rows)


def test_the_job_options_are_python() -> None:
    (function,) = [one for one in ast.parse(code("python")).body if isinstance(one, ast.FunctionDef)]
    assert function.name == "ExaTrkXFinderCfg"


@pytest.mark.slow
def test_the_finder_compiles() -> None:
    if COMPILER is None:
        pytest.skip("no C++ compiler on PATH")
    folders = [f"-I{Path(__file__).parent}", f"-I{ROOT / 'backends' / 'exatrkx' / 'engine'}"]
    source = '#include "athena_stand_ins.hpp"\n' + _FUNCTION.format(body=code("cpp"))
    command = [COMPILER, "-std=c++20", "-fsyntax-only", "-Wall", *folders, "-xc++", "-"]
    built = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")


@pytest.mark.server
@pytest.mark.parametrize("model", ["exatrkx_ensemble", "exatrkx_custom"])
def test_the_digest_without_a_request_id(call: Caller, model: str) -> None:
    features = np.random.default_rng(3).uniform(0, 0.2, (40, 3)).astype(np.float32)
    found = call(model, {"FEATURES": features}, ("LABELS", "REQUEST_DIGEST"))
    expected = added(features_digest(features), payload_digest(found["LABELS"]))
    assert found["REQUEST_DIGEST"].tolist() == [expected]
