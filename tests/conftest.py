"""Fixtures: a real Triton server with networks that can be worked out by hand."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import compiled
import hypothesis
import pytest
from serving import Caller

from exatrkx_server import Access, ServerOptions, TritonServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exatrkx_server.options import Stages

ROOT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--chaos-requests",
        type=int,
        default=0,
        help="of the tests of chaos; 0: the short form of one alone",
    )
    parser.addoption("--chaos-minutes", type=float, default=0.0, help="go on for so long instead, with fewer clients")


# How quickly examples are made and tried says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile(
    "unhurried", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")


# In the background or under nohup some signals are ignored, and a command that a test starts would inherit that. A
# handler it does not inherit; here the signal goes on doing nothing.
for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda _signal, _frame: None)


@pytest.fixture(autouse=True)
def same_random_numbers_in_any_order() -> None:
    """Untrained networks are the same whatever ran before."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(1)


@pytest.fixture(scope="session")
def tiny_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model repository of this project with the networks and the working point of `tiny_networks`."""
    # Here, so that tests which need no server do without torch.
    from tiny_networks import write_tiny_repository  # noqa: PLC0415

    return write_tiny_repository(ROOT / "model_repository", tmp_path_factory.mktemp("tiny") / "model_repository")


@pytest.fixture(scope="session")
def python_server(
    tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[TritonServer]:
    """A server with every model of `tiny_repository`, none of them compiled, for the whole session."""
    log_file = tmp_path_factory.mktemp("server") / "tritonserver.log"
    access = Access(allow=("shared-memory",))
    options = ServerOptions(log_file=log_file, custom_backend="python", access=access)
    with TritonServer(tiny_repository, options) as running:
        yield running
    if request.session.testsfailed:
        print(f"\nthe server's log: {log_file}\n{log_file.read_text(errors='replace')[-4000:]}")


@pytest.fixture(scope="session")
def five_column_repository(tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository of networks that take two columns beside the position: `extra_columns.POINT`."""
    from extra_columns import POINT  # noqa: PLC0415 - as above
    from tiny_networks import write_tiny_repository  # noqa: PLC0415

    return write_tiny_repository(tiny_repository, tmp_path_factory.mktemp("five") / "model_repository", POINT)


@pytest.fixture(scope="session")
def five_column_server(
    five_column_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TritonServer]:
    """A server of these, nothing compiled."""
    options = ServerOptions(log_file=tmp_path_factory.mktemp("five") / "tritonserver.log", custom_backend="python")
    with TritonServer(five_column_repository, options) as running:
        yield running


@pytest.fixture(scope="session")
def server(python_server: TritonServer) -> TritonServer:
    """The server of tests that need only one."""
    return python_server


@pytest.fixture(scope="session", params=("python stages", "custom backend", "compiled stages"))
def each_server(
    request: pytest.FixtureRequest, tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TritonServer]:
    """The servers under test in turn: nothing compiled, this project's backends, and the stages as well."""
    if request.param == "python stages":
        yield request.getfixturevalue("python_server")
        return
    stages: Stages = "compiled" if request.param == "compiled stages" else "python"
    with compiled.server(tiny_repository, tmp_path_factory.mktemp("server"), stages) as running:
        yield running


@pytest.fixture(scope="session")
def each_call(each_server: TritonServer) -> Iterator[Caller]:
    """Each server over gRPC."""
    caller = Caller(each_server)
    yield caller
    caller.close()


@pytest.fixture(scope="session")
def trained_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A server with the ensemble of the committed networks."""
    repository = ROOT / "model_repository"
    if not all((repository / name / "1" / "model.pt").is_file() for name in ("embed", "filter", "gnn")):
        pytest.skip("the trained networks are not exported: make models")
    log_file = tmp_path_factory.mktemp("trained") / "tritonserver.log"
    options = ServerOptions(models=("exatrkx_ensemble",), log_file=log_file, custom_backend="python", device="cpu")
    with TritonServer(repository, options) as running:
        yield running


@pytest.fixture(scope="session")
def call(server: TritonServer) -> Iterator[Caller]:
    """The server over gRPC."""
    caller = Caller(server)
    yield caller
    caller.close()
