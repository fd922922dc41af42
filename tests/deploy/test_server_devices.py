"""Where a server's models run: on GPUs only where the Python models' own interpreter can use them, else on the CPU.

The GPUs are those that CUDA_VISIBLE_DEVICES names, and CuPy and PyTorch are stand-ins in a virtual environment: what is
looked at is the command and the environment that `tritonserver` is started with, and what a real one says.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Final

import compiled
import pytest
from gpu_stand_ins import CUPY, NO_NVRTC, ROOT, TORCH, Interpreter, command, interpreter

from exatrkx_server import ServerSetupError
from exatrkx_server.backends import Backend, compile_stages, gpu_libraries
from exatrkx_server.resources import Devices, choose_devices, gpu_names

__all__ = ["interpreter"]

BOTH: Final = ("cupy", "torch")


@pytest.mark.parametrize(("visible", "gpus"), [("0,1", ["0", "1"]), ("3", ["3"]), ("", []), ("-1", [])])
def test_gpus_that_the_variable_names(visible: str, gpus: list[str]) -> None:
    assert gpu_names({"CUDA_VISIBLE_DEVICES": visible}) == gpus


def test_gpus_of_the_machine(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    assert gpu_names({}, tmp_path) == ["0", "1"]


class TestChoice:
    def test_without_a_gpu_nothing_is_tried(self, interpreter: Interpreter) -> None:
        interpreter.put(cupy="raise SystemExit('tried')")
        assert choose_devices("auto", BOTH, interpreter.environment("")) == Devices(0)

    def test_libraries_that_work(self, interpreter: Interpreter) -> None:
        interpreter.put(cupy=CUPY.format(gpus=2), torch=TORCH.format(gpus=2))
        found = choose_devices("auto", BOTH, interpreter.environment("0,1"))
        assert (str(found), found.environment) == ("devices: cuda:0, cuda:1", {})

    @pytest.mark.parametrize(
        ("cupy", "torch", "problem"),
        [
            (NO_NVRTC, TORCH.format(gpus=1), "CuPy does not work: ImportError: libnvrtc.so.12: cannot open"),
            (CUPY.format(gpus=0), TORCH.format(gpus=1), "CuPy sees none"),
            ("import os; os._exit(3)", TORCH.format(gpus=1), r"CuPy does not work: .*python3 ended with code 3"),
            (CUPY.format(gpus=1), TORCH.format(gpus=0), "PyTorch does not work: RuntimeError: No CUDA GPUs are"),
        ],
    )
    def test_a_library_that_does_not_work(self, interpreter: Interpreter, cupy: str, torch: str, problem: str) -> None:
        interpreter.put(cupy=cupy, torch=torch)
        variables = interpreter.environment("0")
        found = choose_devices("auto", BOTH, variables)
        assert str(found).startswith("device: cpu (a GPU is here, but ")
        assert found.environment == {"CUDA_VISIBLE_DEVICES": ""}
        with pytest.raises(ServerSetupError, match=f"^--device gpu: {problem}"):
            choose_devices("gpu", BOTH, variables)

    def test_a_gpu_that_nothing_in_python_needs(self, interpreter: Interpreter) -> None:
        interpreter.put(cupy=NO_NVRTC)
        assert choose_devices("auto", (), interpreter.environment("0")) == Devices(1)

    def test_the_cpu_on_request(self, interpreter: Interpreter) -> None:
        interpreter.put(cupy=CUPY.format(gpus=1))
        found = choose_devices("cpu", BOTH, interpreter.environment("0"))
        assert (str(found), found.environment) == ("device: cpu", {"CUDA_VISIBLE_DEVICES": ""})

    def test_the_gpu_on_request_where_there_is_none(self, interpreter: Interpreter) -> None:
        with pytest.raises(ServerSetupError, match="--device gpu: no GPU is visible here"):
            choose_devices("gpu", BOTH, interpreter.environment(""))


class TestLibraries:
    """What models need on a GPU, by what serves them."""

    python = Backend("python", "bundled", Path())
    in_python = (python, Backend("pytorch", "python", Path()), Backend("exatrkx", "python", Path()))
    compiled = (python, Backend("pytorch", "compiled", Path()), Backend("exatrkx", "compiled", Path()))
    container = (python, Backend("pytorch", "bundled", Path()), Backend("exatrkx", "python", Path()))

    @pytest.mark.parametrize(
        ("backends", "models", "libraries"),
        [
            (in_python, (), ["cupy", "torch"]),
            (in_python, ("frnn",), ["cupy"]),
            (in_python, ("exatrkx_ensemble",), ["cupy", "torch"]),
            (container, ("exatrkx_ensemble",), ["cupy"]),
            (container, ("exatrkx_custom",), ["cupy", "torch"]),
            (compiled, (), ["cupy"]),
            (compiled, ("exatrkx_custom",), []),
            (compiled, ("embed", "no_such_model"), []),
        ],
    )
    def test_models(self, backends: tuple[Backend, ...], models: tuple[str, ...], libraries: list[str]) -> None:
        assert gpu_libraries(ROOT / "model_repository", models, backends) == libraries

    def test_compiled_stages_need_none(self, tmp_path: Path) -> None:
        compile_stages(ROOT / "model_repository", tmp_path / "repository", self.compiled)
        assert gpu_libraries(tmp_path / "repository", (), self.compiled) == []


@pytest.fixture
def recorder(tmp_path: Path) -> Path:
    """A `tritonserver` on PATH that writes down how it was started, and ends. Returns the folder of what it wrote."""
    (tmp_path / "opt" / "backends" / "python").mkdir(parents=True)
    program = tmp_path / "opt" / "bin" / "tritonserver"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\nenv > {tmp_path}/environment\nexit 1\n')
    program.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("cupy", "options", "expected"),
    [
        (CUPY.format(gpus=2), (), (["0", "1"], "0,1")),
        (NO_NVRTC, (), ([], "")),
        (CUPY.format(gpus=2), ("--device", "cpu"), ([], "")),
    ],
    ids=["CuPy works", "CuPy does not load", "cpu asked for"],
)
def test_what_the_server_is_started_with(
    interpreter: Interpreter, recorder: Path, cupy: str, options: tuple[str, ...], expected: tuple[list[str], str]
) -> None:
    interpreter.put(cupy=cupy, torch=TORCH.format(gpus=2))
    variables = interpreter.environment("0,1")
    variables["PATH"] = os.pathsep.join([str(recorder / "opt" / "bin"), variables["PATH"]])
    done = serve(interpreter, variables, "--custom-backend", "python", *options)
    assert "the server ended with code 1" in done.stderr
    arguments = (recorder / "arguments").read_text().splitlines()
    option = "--cuda-memory-pool-byte-size="
    pools = [line.removeprefix(option).split(":")[0] for line in arguments if line.startswith(option)]
    lines = (recorder / "environment").read_text().splitlines()
    (visible,) = (line.partition("=")[2] for line in lines if line.startswith("CUDA_VISIBLE_DEVICES="))
    assert (pools, visible) == expected


def test_a_gpu_or_nothing(interpreter: Interpreter, recorder: Path) -> None:
    interpreter.put(cupy=NO_NVRTC)
    variables = interpreter.environment("0")
    variables["PATH"] = os.pathsep.join([str(recorder / "opt" / "bin"), variables["PATH"]])
    done = serve(interpreter, variables, "--device", "gpu")
    assert done.stderr.startswith("serve.py: --device gpu: CuPy does not work: ImportError: libnvrtc.so.12")
    assert not (recorder / "arguments").exists()


@pytest.mark.server
def test_a_server_that_takes_the_cpu_says_so(interpreter: Interpreter) -> None:
    """A real one; its Python model runs in an environment where this project is not installed, too."""
    interpreter.put(cupy=NO_NVRTC)
    variables = interpreter.environment("0")
    missing = subprocess.run([interpreter.python, "-I", "-c", "import exatrkx"], env=variables, check=False)
    assert missing.returncode == 1, "the environment has the package, so that finding it proves nothing"
    line = ready_line(interpreter, variables, "--models", "frnn")
    assert "; device: cpu (a GPU is here, but CuPy does not work: ImportError: libnvrtc.so.12: " in line


@pytest.mark.server
@pytest.mark.skipif(bool(gpu_names(os.environ)), reason="a GPU is here")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--stages", "compiled"), "device: cpu (a GPU is here, but {}: all models)"),
        (("--models", "frnn,exatrkx_custom"), "device: cuda:0 (but {}: exatrkx_custom)"),
    ],
)
def test_compiled_models_that_are_on_the_cpu_are_told(
    interpreter: Interpreter, options: tuple[str, ...], said: str
) -> None:
    """A real server whose compiled backends have no CUDA, as they are built here."""
    compiled.build()
    interpreter.put(cupy=CUPY.format(gpus=1))
    variables, options = interpreter.environment("0"), ("--custom-backend", "compiled", *options)
    problem = "compiled without CUDA, or configured for the CPU"
    assert f"; {said.format(problem)}; " in ready_line(interpreter, variables, *options)
    assert f"--device gpu: {problem}: " in serve(interpreter, variables, "--device", "gpu", *options).stderr


def ready_line(interpreter: Interpreter, variables: dict[str, str], *options: str) -> str:
    """What `serve.py` says when it is ready; it is ended then."""
    process = subprocess.Popen(
        command(interpreter, "--log-file", str(interpreter.libraries / "log"), *options),
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    return line


def serve(interpreter: Interpreter, variables: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """`serve.py` that does not come up."""
    done = subprocess.run(
        command(interpreter, "--log-file", str(interpreter.libraries / "log"), *options),
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    return done
