"""Wheel and sdist: built, installed outside of the checkout for every Python that is here, and used there.

The newest of what the package's ranges allow is installed, NumPy 2 among it; the pins of constraints.txt hold for the
other tests. One environment has torch and the server, and the clients of all environments ask it.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from exatrkx import __version__
from exatrkx.events.event import features
from exatrkx.events.readers import read_events
from exatrkx.events.saved_tracks import read_labels
from exatrkx.pipeline import Pipeline
from exatrkx.project_files import project_files

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.package

ROOT: Final = Path(__file__).resolve().parents[1]
VERSIONS: Final = ("3.11", "3.12", "3.13")
THIS: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
EVENTS: Final = 4
START_S: Final = 240.0


def run(*command: str | Path, folder: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A program's end, in a folder outside of the checkout and without its settings."""
    unset = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    variables = {name: value for name, value in os.environ.items() if name not in unset}
    variables |= {"XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{command}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done


@functools.cache
def interpreter(version: str) -> Path | None:
    """A Python of this version that starts: on PATH, or among pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    on_path = [Path(found)] if (found := shutil.which(f"python{version}")) else []
    for path in [*sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}")), *on_path]:
        if subprocess.run([path, "-c", "import venv, ensurepip"], capture_output=True, check=False).returncode == 0:
            return path
    return None


@pytest.fixture(scope="module")
def index() -> None:
    """Skips where pip reaches no index of packages."""
    dry = ["--dry-run", "--ignore-installed", "--no-deps", "--retries", "0", "--timeout", "20"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", *dry, "tqdm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"pip reaches no index of packages: {done.stderr.strip()[-200:]}")


@dataclass(frozen=True, slots=True)
class Distributions:
    """What a release consists of."""

    wheel: Path
    sdist: Path


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory, index: None) -> Distributions:  # noqa: ARG001 - skips
    """The sdist of this checkout, and the wheel that is built from the sdist alone."""
    target = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", target, ROOT, folder=target)
    (wheel,), (sdist,) = target.glob("*.whl"), target.glob("*.tar.gz")
    return Distributions(wheel, sdist)


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment, and a folder to work in.

    Attributes:
        folder: of both, outside of the checkout.
    """

    folder: Path

    @classmethod
    def make(cls, version: str, folder: Path) -> Environment:
        """An empty environment of a Python version; skips where that is not here."""
        python = interpreter(version)
        if python is None:
            pytest.skip(f"no Python {version} is here")
        run(python, "-m", "venv", folder / "venv", folder=folder)
        return cls(folder)

    @property
    def bin(self) -> Path:
        return self.folder / "venv" / "bin"

    def install(self, *what: str) -> None:
        run(self.bin / "python", "-m", "pip", "install", "--quiet", "--no-compile", *what, folder=self.folder)

    def exatrkx(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run(self.bin / "exatrkx", *arguments, folder=self.folder, check=check)

    def python(self, code: str) -> str:
        return run(self.bin / "python", "-c", code, folder=self.folder).stdout


@pytest.fixture(scope="module", params=VERSIONS)
def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, distributions: Distributions
) -> Environment:
    """The package with what draws events, and nothing that computes tracks; the wheel is of one Python alone."""
    environment = Environment.make(request.param, tmp_path_factory.mktemp("client"))
    package = distributions.wheel if request.param == THIS else distributions.sdist
    environment.install(f"exatrkx[display] @ file://{package}", "numpy>=2", "pandas>=3")
    return environment


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, distributions: Distributions) -> Environment:
    """The package with torch and a server, and with NumPy 2."""
    torch = metadata.version("torch")
    if not torch.endswith("+cpu"):
        pytest.skip(f"torch {torch} brings gigabytes of CUDA libraries")
    environment = Environment.make(THIS, tmp_path_factory.mktemp("service"))
    environment.install(f"exatrkx[serve] @ file://{distributions.wheel}", f"torch=={torch}", "numpy>=2")
    refused = environment.exatrkx("serve", "--free-ports", check=False)
    assert refused.returncode == 1
    assert "exatrkx install-server installs it" in refused.stderr
    environment.exatrkx("install-server")
    return environment


@pytest.fixture(scope="module")
def url(service: Environment) -> Iterator[str]:
    """The address of `exatrkx serve`, which exports the committed networks by itself."""
    ports, log = service.folder / "ports.json", service.folder / "serve.log"
    variables = os.environ | {"XDG_CACHE_HOME": str(service.folder / "cache"), "OMP_NUM_THREADS": "1"}
    options = ["--free-ports", "--ports-file", str(ports), "--start-timeout", str(START_S)]
    command = [str(service.bin / "exatrkx"), "serve", *options]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, cwd=service.folder, env=variables, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as server,
    ):
        assert server.stdout is not None
        ready = server.stdout.readline()  # a server that does not come up ends, and so does its output
        try:
            assert ready.startswith("ready after "), log.read_text()
            yield json.loads(ports.read_text())["grpc_url"]
        finally:
            server.send_signal(signal.SIGTERM)
    assert server.returncode == 0


def test_the_wheel_is_complete(distributions: Distributions) -> None:
    with zipfile.ZipFile(distributions.wheel) as wheel:
        names = set(wheel.namelist())
    packages = {name.partition("/")[0] for name in names if name.endswith("/__init__.py")}
    assert packages == {"exatrkx", "exatrkx_acts", "exatrkx_batch", "exatrkx_client", "exatrkx_perf", "exatrkx_server"}
    assert {f"{package}/py.typed" for package in packages} <= names
    assert {name.partition("/")[0] for name in names} == packages | {f"exatrkx-{__version__}.dist-info"}
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=False).stdout
    if tracked:  # an unpacked sdist has no list of its own
        shared = [
            name for name in tracked.splitlines() if name.startswith(("backends/", "model_repository/", "data/events/"))
        ]
        assert {f"exatrkx/share/{name}" for name in shared} == {n for n in names if n.startswith("exatrkx/share/")}
        data = ("models_src/", "client/exatrkx_client/page/")
        sources = [name.partition("/")[2] for name in tracked.splitlines() if name.startswith(data)]
        assert set(sources) <= names


def test_the_sdist_is_the_repository(distributions: Distributions) -> None:
    with tarfile.open(distributions.sdist) as sdist:
        names = {member.name.partition("/")[2] for member in sdist if member.isfile()}
    assert not [name for name in names if name.endswith((".so", ".pt", ".pyc"))]
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=False).stdout
    missing = {name for name in tracked.splitlines() if (ROOT / name).is_file()} - names
    assert missing <= {".ci/run"}


def test_every_command_has_help(client: Environment) -> None:
    code = (
        "from exatrkx.__main__ import COMMANDS, main\n"
        "for name in COMMANDS:\n"
        "    try: main([*name.split(), '--help'])\n"
        "    except SystemExit as ended: assert ended.code == 0, name\n"
        "    else: raise AssertionError(name)\n"
        "print(len(COMMANDS))\n"
    )
    printed = client.python(code).splitlines()
    assert int(printed[-1]) == sum(line.startswith("usage: exatrkx ") for line in printed)
    assert client.exatrkx("--version").stdout == f"exatrkx {__version__}\n"


def test_it_lies_beside_numpy_2_and_pandas_3(client: Environment) -> None:
    code = "import numpy, pandas, exatrkx; print(numpy.__version__, pandas.__version__, exatrkx.__file__)"
    numpy, pandas, file = client.python(code).split()
    assert (numpy.partition(".")[0], pandas.partition(".")[0]) == ("2", "3")
    assert Path(file).is_relative_to(client.folder), "not the checkout's"
    run(client.bin / "python", "-m", "pip", "check", folder=client.folder)


def test_a_client_finds_and_displays(client: Environment, url: str) -> None:
    bundled = client.exatrkx("events").stdout.strip()
    assert Path(bundled).is_relative_to(client.folder)
    printed = client.exatrkx("find", bundled, "--url", url, "--limit", str(EVENTS), "--output", "tracks.parquet").stdout
    assert "efficiency: " in printed
    events = read_events(project_files().events)
    pipeline = Pipeline.from_weights()
    for event, _ in zip(events, range(EVENTS), strict=False):
        expected = pipeline(features(event)).labels
        assert read_labels(client.folder / "tracks.parquet", event).tolist() == expected.tolist()
    for name in ("event.png", "event.html", "event.json"):
        client.exatrkx("display", bundled, "tracks.parquet", "--output", name)
        assert (client.folder / name).stat().st_size > 10_000


def test_the_service_runs_on_numpy_2_and_its_own_copy_of_the_models(service: Environment, url: str) -> None:
    code = "import numpy, importlib.util as u; print(numpy.__version__, u.find_spec('pytriton') is not None)"
    assert service.python(code).startswith("2.")
    assert url
    (repository,) = (service.folder / "cache" / "exatrkx").iterdir()
    assert (repository / "gnn" / "1" / "model.pt").is_file()
    share = run(service.bin / "python", "-c", SHARE, folder=service.folder).stdout.strip()
    assert not list(Path(share).rglob("*.pt")), "the installed package is left as it is"


SHARE: Final = "from exatrkx.project_files import project_files; print(project_files().model_repository.parent)"


def test_export_from_the_wheel(service: Environment) -> None:
    refused = service.exatrkx("export", check=False)
    assert refused.returncode == 2
    assert "--output is needed" in refused.stderr
    service.exatrkx("export", "--output", "mine/model_repository")
    assert (service.folder / "mine" / "model_repository" / "embed" / "1" / "model.pt").is_file()


@pytest.fixture(scope="module", params=("3.11", "3.12"))
def resolver(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    index: None,  # noqa: ARG001 - skips
) -> Environment:
    """An environment with the newest pip, which knows how to read no more of a wheel than its metadata.

    Of Debian's Python, and that of NVIDIA's images.
    """
    environment = Environment.make(request.param, tmp_path_factory.mktemp("resolver"))
    environment.install("--upgrade", "pip")
    return environment


@pytest.mark.parametrize(("extra", "cupy", "nvrtc"), [
    ("gpu-cu12", "cupy-cuda12x", "nvidia-cuda-nvrtc-cu12"),
    ("gpu-cu13", "cupy-cuda13x", "nvidia-cuda-nvrtc"),
])  # fmt: skip
def test_extras_of_gpus_resolve_beside_their_torch(
    distributions: Distributions, resolver: Environment, extra: str, cupy: str, nvrtc: str
) -> None:
    """By metadata alone: of a wheel without metadata of its own in the index pip reads the part that has it."""
    dry = ["--dry-run", "--ignore-installed", "--use-feature=fast-deps", "--report", "report.json"]
    resolver.install(*dry, f"exatrkx[serve,{extra}] @ file://{distributions.sdist}")  # the wheel is of one Python alone
    report = json.loads((resolver.folder / "report.json").read_text())
    found = {one["metadata"]["name"].lower(): one["metadata"]["version"] for one in report["install"]}
    assert {"torch", "torch-geometric", cupy, nvrtc} <= set(found)
    assert found[nvrtc].partition(".")[0] == cupy[len("cupy-cuda") : -1], "NVRTC of the CUDA that CuPy is for"
    assert "+" not in found["torch"], "the build of the index, which has a GPU"
    assert int(found["numpy"].partition(".")[0]) >= 2
