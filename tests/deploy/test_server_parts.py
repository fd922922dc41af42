"""The parts of the server package that need no server: what is looked for, chosen, bounded and cleaned up."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from exatrkx.project_files import ProjectFiles
from exatrkx_client.triton_api import ModelState
from exatrkx_server import PortInUseError, ServerOptions, ServerSetupError, TritonInstallation, find_triton, free_ports
from exatrkx_server import backends as backends_module
from exatrkx_server.backends import assemble, shell_safe
from exatrkx_server.command import command_line, environment
from exatrkx_server.installation import WHEEL
from exatrkx_server.options import Ports, SupervisionOptions, check_free
from exatrkx_server.probe import check_probing
from exatrkx_server.processes import scratch_directory
from exatrkx_server.resources import COMPUTE_SLOTS, thread_environment, usable_cores
from exatrkx_server.serve_options import WARM_UP_SPACEPOINTS, parse_arguments

if TYPE_CHECKING:
    from collections.abc import Callable

PARENT_DEATH = Path(__file__).resolve().parents[2] / "deploy" / "exatrkx_server" / "parent_death.py"


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o755)
    return path


class TestInstallation:
    @pytest.fixture(autouse=True)
    def only_the_wheel(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "which", lambda _name: None)

    def test_the_wheel_of_this_environment(self) -> None:
        found = find_triton()
        assert os.access(found.binary, os.X_OK)
        assert found.python_stub is not None
        assert os.access(found.python_stub, os.X_OK)
        assert set(found.backends) == {"python"}
        assert all(directory.is_dir() for directory in found.library_path)

    def test_a_server_on_path_comes_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        binary = executable(tmp_path / "bin" / "tritonserver")
        for name in ("python", "pytorch", "identity"):
            (tmp_path / "backends" / name).mkdir(parents=True)
        monkeypatch.setattr(shutil, "which", lambda _name: str(binary))
        found = find_triton()
        assert (found.binary, found.python_stub, found.library_path) == (binary, None, ())
        assert set(found.backends) == {"identity", "python", "pytorch"}

    def test_a_server_on_path_without_python(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "which", lambda _name: str(executable(tmp_path / "bin" / "tritonserver")))
        with pytest.raises(ServerSetupError, match="no Python backend in"):
            find_triton()

    def test_no_server_at_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
        with pytest.raises(
            ServerSetupError, match=rf"exatrkx install-server installs it \(pip install --no-deps {WHEEL}\)"
        ):
            find_triton()

    def test_python_without_shared_library(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sysconfig, "get_config_var", lambda _name: str(tmp_path))
        monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
        with pytest.raises(ServerSetupError, match=r"has no shared library libpython3\.\d+\.so\.1\.0.*apt install"):
            find_triton()

    @pytest.mark.parametrize("libc", [("glibc", "2.31"), ("glibc", "2.9"), ("", ""), ("musl", "1.2")])
    def test_old_or_other_c_library(self, monkeypatch: pytest.MonkeyPatch, libc: tuple[str, str]) -> None:
        monkeypatch.setattr(platform, "libc_ver", lambda: libc)
        with pytest.raises(ServerSetupError, match=r"glibc 2\.35 or newer"):
            find_triton()

    def test_python_version_that_the_wheel_does_not_know(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Version(tuple[int, ...]):
            __slots__ = ()
            major, minor = 3, 99

        monkeypatch.setattr(sys, "version_info", Version((3, 99)))
        with pytest.raises(ServerSetupError, match=r"cannot run Python 3\.99 models; it can run 3\.8, .*3\.13"):
            find_triton()


def test_starting_a_server_needs_numpy_alone() -> None:
    """As in NVIDIA's container, where nothing of this project is installed, nor what it depends on."""
    absent = ["tritonclient", "grpc", "torch", "scipy", "pyarrow", "tqdm", "matplotlib", "psutil"]
    code = f"import sys; sys.modules.update(dict.fromkeys({absent})); import exatrkx_server.serve"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("option", ["--http-port=65536", "--grpc-port=0", "--health-port=-1"])
def test_numbers_that_no_port_has(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse_arguments([option], "")
    assert f"{option.partition('=')[0]}: must be in [" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("--start-timeout=inf", "must be at most 86400, found inf"),
        ("--start-timeout=nan", "must be at least 1, found nan"),
        ("--threads=-1", "must be at least 1, found -1"),
        ("--cuda-memory-pool-mb=-1", "must be at least 1, found -1"),
    ],
)
def test_numbers_that_no_server_can_have(option: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse_arguments([option], "")
    assert f"{option.partition('=')[0]}: {reason}" in capsys.readouterr().err


@pytest.mark.parametrize(("failures", "delay_s"), [(0, 1.0), (3, 8.0), (6, 60.0), (5000, 60.0)])
def test_each_restart_waits_twice_as_long(failures: int, delay_s: float) -> None:
    assert SupervisionOptions(restart_delay_s=1.0).delay_s(failures) == delay_s


class TestBackends:
    @pytest.fixture
    def project(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A project with a stand-in for LibTorch and a custom backend in Python."""
        for name in ("pytorch", "exatrkx"):
            executable(tmp_path / "project" / name / "model.py")
        (tmp_path / "exatrkx").mkdir()
        files = ProjectFiles(tmp_path / "project", tmp_path / "repository", tmp_path / "exatrkx")
        monkeypatch.setattr(backends_module, "project_files", lambda: files)
        return tmp_path / "project"

    @pytest.fixture
    def installed(self, tmp_path: Path) -> Callable[..., TritonInstallation]:
        def make(*names: str, stub: bool = False) -> TritonInstallation:
            for name in names:
                executable(tmp_path / "installed" / name / f"libtriton_{name}.so")
            backends = {name: tmp_path / "installed" / name for name in names}
            python_stub = executable(tmp_path / "stub" / "triton_python_backend_stub") if stub else None
            return TritonInstallation(tmp_path / "tritonserver", backends, python_stub, (), "a test")

        return make

    @pytest.fixture
    def target(self, tmp_path: Path) -> Path:
        (tmp_path / "target").mkdir()
        return tmp_path / "target"

    @pytest.mark.usefixtures("project")
    def test_stub_lies_beside_the_python_backend(
        self, target: Path, installed: Callable[..., TritonInstallation]
    ) -> None:
        chosen = assemble(target, installed("python", stub=True))
        assert {str(backend) for backend in chosen} == {"python (bundled)", "pytorch (python)", "exatrkx (python)"}
        assert {path.name for path in (target / "python").iterdir()} == {
            "libtriton_python.so",
            "triton_python_backend_stub",
            "exatrkx",
        }
        assert os.access(target / "python" / "triton_python_backend_stub", os.X_OK)
        assert (target / "pytorch" / "model.py").is_file()

    @pytest.mark.usefixtures("project")
    def test_the_real_pytorch_backend_is_preferred(
        self, target: Path, installed: Callable[..., TritonInstallation]
    ) -> None:
        chosen = assemble(target, installed("python", "pytorch"))
        assert {str(backend) for backend in chosen} == {"python (bundled)", "pytorch (bundled)", "exatrkx (python)"}
        assert (target / "pytorch" / "libtriton_pytorch.so").is_file()
        assert not (target / "pytorch" / "model.py").exists()

    @pytest.mark.parametrize(
        ("preference", "implementation"), [("auto", "compiled"), ("compiled", "compiled"), ("python", "python")]
    )
    def test_a_compiled_custom_backend(
        self,
        project: Path,
        target: Path,
        installed: Callable[..., TritonInstallation],
        preference: Any,
        implementation: str,
    ) -> None:
        for name in ("exatrkx", "pytorch"):
            executable(project / name / "build" / f"libtriton_{name}.so")
        chosen = {backend.name: backend for backend in assemble(target, installed("python"), preference)}
        assert chosen["exatrkx"].implementation == implementation
        assert chosen["pytorch"].implementation == implementation
        assert (target / "exatrkx" / "libtriton_exatrkx.so").exists() is (implementation == "compiled")
        assert (target / "exatrkx" / "model.py").exists() is (implementation == "python")

    @pytest.mark.parametrize("missing", ["exatrkx", "pytorch"])
    def test_compiled_backends_of_which_one_is_not_built(
        self, project: Path, target: Path, installed: Callable[..., TritonInstallation], missing: str
    ) -> None:
        (built,) = {"exatrkx", "pytorch"} - {missing}
        executable(project / built / "lib" / f"libtriton_{built}.so")
        with pytest.raises(ServerSetupError, match=rf"/{missing}: libtriton_{missing}\.so is not built; make custom-"):
            assemble(target, installed("python"), "compiled")
        assert list(target.iterdir()) == [], "refused before anything is placed"
        chosen = {str(backend) for backend in assemble(target, installed("python"), "auto")}
        assert chosen == {"python (bundled)", f"{built} (compiled)", f"{missing} (python)"}

    def test_compiled_needs_no_runner_where_the_server_has_libtorch(
        self, project: Path, target: Path, installed: Callable[..., TritonInstallation]
    ) -> None:
        executable(project / "exatrkx" / "lib" / "libtriton_exatrkx.so")
        chosen = {str(backend) for backend in assemble(target, installed("python", "pytorch"), "compiled")}
        assert chosen == {"python (bundled)", "pytorch (bundled)", "exatrkx (compiled)"}


@pytest.mark.parametrize("name", ["my model", "modèle", "a;b"])
def test_model_whose_name_a_shell_would_change(tmp_path: Path, name: str) -> None:
    (tmp_path / "repository" / name).mkdir(parents=True)
    with pytest.raises(ServerSetupError, match="need names of folders without blanks"):
        shell_safe(tmp_path / "repository", tmp_path / "link")


def test_probes_need_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tritonclient.http", None)
    with pytest.raises(ServerSetupError, match=r"pip install 'tritonclient\[http\]', or --probe-every 0"):
        check_probing()


class TestPorts:
    def test_free_ports_differ_and_are_free(self) -> None:
        ports = free_ports()
        assert len({ports.http, ports.grpc, ports.metrics}) == 3
        check_free("127.0.0.1", ports)

    @pytest.mark.parametrize("which", ["http", "grpc", "metrics"])
    def test_a_taken_port_is_named(self, which: str) -> None:
        ports = free_ports()
        with (
            socket.create_server(("127.0.0.1", getattr(ports, which))),
            pytest.raises(PortInUseError, match=f"127.0.0.1:{getattr(ports, which)}"),
        ):
            check_free("127.0.0.1", ports)

    def test_a_host_that_is_not_ours(self) -> None:
        with pytest.raises(PortInUseError, match=r"cannot listen on 192\.0\.2\.1"):
            check_free("192.0.2.1", Ports())


class TestResources:
    @pytest.mark.parametrize(
        ("quota", "cores"),
        [
            ("max 100000", 64),
            ("100000 100000", 1),
            ("150000 100000", 2),
            ("1000 100000", 1),
            ("", 64),
            ("nonsense", 64),
        ],
    )
    def test_cores_are_bounded_by_the_quota(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cores: int
    ) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(64)))
        (tmp_path / "cpu.max").write_text(quota)
        assert usable_cores(tmp_path / "cpu.max") == cores

    def test_cores_without_a_quota(self, tmp_path: Path) -> None:
        assert usable_cores(tmp_path / "no such file") == len(os.sched_getaffinity(0))

    def test_every_library_is_bounded(self) -> None:
        assert {
            name: value for name, value in thread_environment(3).items() if name.endswith("THREADS")
        } == dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "3")


class TestCommand:
    installation = TritonInstallation(Path("/opt/bin/tritonserver"), {}, None, (Path("/opt/lib"),), "a test")

    def line(self, gpus: int = 0, **options: Any) -> list[str]:
        return command_line(
            self.installation,
            Path("/repository"),
            Path("/backends"),
            options=ServerOptions(**options),
            ports=Ports(1, 2, 3),
            identity="me",
            python_backends=("python", "pytorch"),
            gpus=gpus,
        )

    def test_all_three_services_get_the_address(self) -> None:
        line = self.line(host="127.0.0.2")
        assert line[0] == "/opt/bin/tritonserver"
        for service, port in (("http", 1), ("grpc", 2), ("metrics", 3)):
            assert f"--{service}-address=127.0.0.2" in line
            assert f"--{service}-port={port}" in line

    def test_models(self) -> None:
        assert not [argument for argument in self.line() if "load-model" in argument]
        line = self.line(models=("a", "b"))
        assert {"--model-control-mode=explicit", "--load-model=a", "--load-model=b"} < set(line)

    @pytest.mark.parametrize("gpus", [0, 1, 2])
    def test_a_memory_pool_for_each_gpu(self, gpus: int) -> None:
        pools = [argument for argument in self.line(gpus, cuda_memory_pool_mb=3) if "cuda-memory-pool" in argument]
        assert pools == [f"--cuda-memory-pool-byte-size={number}:{3 << 20}" for number in range(gpus)]

    def test_extra_arguments_come_last(self) -> None:
        assert self.line(extra_arguments=("--log-verbose=1",))[-1] == "--log-verbose=1"

    def test_a_value_that_begins_like_an_option_of_ours(self) -> None:
        extra = ("--trace-config", "mode=opentelemetry")
        assert tuple(self.line(extra_arguments=extra)[-2:]) == extra

    def test_environment_puts_this_python_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/usr/bin")
        monkeypatch.setenv("LD_LIBRARY_PATH", "/mine")
        found = environment(self.installation, threads=2)
        assert found["PATH"] == f"{Path(sys.executable).parent}:/usr/bin"
        assert found["LD_LIBRARY_PATH"] == "/opt/lib:/mine"
        assert found["OMP_NUM_THREADS"] == "2"
        assert "MALLOC_TRIM_THRESHOLD_" in found

    def test_single_precision_is_not_made_less(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
        assert environment(self.installation, threads=1)["NVIDIA_TF32_OVERRIDE"] == "0"

    def test_compute_slots_are_those_of_the_usable_cores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(COMPUTE_SLOTS, raising=False)
        assert environment(self.installation, threads=9)[COMPUTE_SLOTS] == str(usable_cores() + 1)

    def test_compute_slots_of_the_user_stay(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(COMPUTE_SLOTS, "7")
        assert environment(self.installation, threads=None)[COMPUTE_SLOTS] == "7"


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("Internal: ContractError: a.pt: no such file\n\nAt:\n  x.py(3): load\n", "embed: a.pt: no such file"),
        ("Invalid argument: unexpected\n  platform", "embed: unexpected platform"),
        ("Internal: ContractError: embed: no parameter", "embed: no parameter"),
        ("", "embed: a model that it needs did not load"),
    ],
)
def test_reason_of_a_model_is_one_line(reason: str, text: str) -> None:
    assert str(ModelState("embed", "UNAVAILABLE", reason)) == text


def test_directories_of_dead_processes_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen(["true"])
    ended.wait()
    dead, foreign = tmp_path / f"exatrkx-backends-{ended.pid}-abc", tmp_path / "exatrkx-backends-notes"
    alive = tmp_path / f"exatrkx-backends-{os.getpid()}-abc"
    for directory in (dead, foreign, alive):
        directory.mkdir()
    with scratch_directory() as mine:
        assert {path.name for path in tmp_path.iterdir()} == {foreign.name, alive.name, Path(mine).name}
    assert not Path(mine).exists()


class TestParentDeathSignal:
    def test_becomes_the_program(self) -> None:
        command = [sys.executable, "-I", "-S", str(PARENT_DEATH), str(os.getpid()), "/bin/echo", "a", "b c"]
        assert subprocess.run(command, capture_output=True, check=True, text=True).stdout == "a b c\n"

    def test_refuses_where_the_parent_is_gone(self) -> None:
        command = [sys.executable, "-I", "-S", str(PARENT_DEATH), "1", "/bin/echo", "started"]
        finished = subprocess.run(command, capture_output=True, check=False, text=True)
        assert (finished.returncode, finished.stdout) == (1, "")


def test_a_limit_that_the_warm_up_is_beyond_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    configs = (Path(__file__).resolve().parents[2] / "model_repository").glob("*/config.pbtxt")
    samples = [int(rows) for file in configs for rows in re.findall(r"dims: \[ (\d+), \d+ \]  zero", file.read_text())]
    assert max(samples) == WARM_UP_SPACEPOINTS
    assert parse_arguments(["--max-spacepoints", str(WARM_UP_SPACEPOINTS)], "").max_spacepoints == WARM_UP_SPACEPOINTS
    with pytest.raises(SystemExit):
        parse_arguments(["--max-spacepoints", str(WARM_UP_SPACEPOINTS - 1)], "")
    assert f"--max-spacepoints: must be at least {WARM_UP_SPACEPOINTS}" in capsys.readouterr().err
