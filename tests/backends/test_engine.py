"""The engine in C++, through its command-line program, against the direct call: same tracks, same refusals."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import compiled
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import Facts, facts
from tiny_networks import FILTER_LENGTH, WORKING_POINT, TinyEdges, clumps, save_scripted
from torch import Tensor, nn

from exatrkx.errors import ContractError, ExatrkxError
from exatrkx.events.event import features
from exatrkx.events.parquet import read_events
from exatrkx.pipeline import Pipeline
from exatrkx.serving.model_config import read_working_point
from exatrkx.working_point import TRACK_BUILDING, WorkingPoint

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).resolve().parents[2]
EVENT_FILES: Final = sorted((ROOT / "data" / "events").glob("*.parquet"))
NETWORKS: Final = ("embed", "filter", "gnn")
TIMEOUT_S: Final = 300


@dataclass(frozen=True)
class Found:
    """What the program printed of one event."""

    labels: list[int]
    edges: list[tuple[int, int]]
    scores: Array


class Engine:
    """`exatrkx-engine` with the networks of a model repository."""

    def __init__(
        self, repository: Path, working_point: WorkingPoint, directory: Path, program: str = "exatrkx-engine"
    ) -> None:
        self.program = compiled.build(program) / program
        self.directory = directory
        self.options = {f"--{name}": str(repository / name / "1" / "model.pt") for name in NETWORKS}
        cuts = directory / "working_point.json"
        cuts.write_text(json.dumps(asdict(working_point)))
        self.options["--working-point"] = str(cuts)

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        options = [word for option in self.options.items() for word in option]
        command = [str(self.program), *options, *map(str, arguments)]
        # As in the server: threads that spin while they wait would take the processor from those they wait for.
        environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=environment)

    def write(self, number: int, event: Array) -> Path:
        path = self.directory / f"event{number}.csv"
        np.savetxt(path, event, fmt="%.9g", delimiter=",")  # nine digits read back as the same FP32
        return path

    def __call__(self, *events: Array) -> list[Found]:
        files = [self.write(number, event) for number, event in enumerate(events)]
        done = self.run("--edges", *files)
        assert (done.returncode, done.stderr) == (0, "")
        printed = [part.splitlines() for part in done.stdout.split("# ")[1:]]
        assert [lines[0] for lines in printed] == [str(file) for file in files]
        return [_read(lines[1:], len(event)) for lines, event in zip(printed, events, strict=True)]

    def refusal(self, *arguments: str | Path) -> str:
        done = self.run(*arguments)
        assert done.returncode == 1
        assert done.stderr.startswith("exatrkx-engine: ")
        assert done.stderr.count("\n") == 1
        return done.stderr.removeprefix("exatrkx-engine: ").rstrip("\n")


def _read(lines: list[str], number: int) -> Found:
    rows = [line.split(",") for line in lines[number:]]
    scores = np.array([row[2] for row in rows], dtype=np.float32)
    return Found([int(line) for line in lines[:number]], [(int(row[0]), int(row[1])) for row in rows], scores)


def direct_call(repository: Path, working_point: WorkingPoint) -> Pipeline:
    embed, edge_filter, gnn = (repository / name / "1" / "model.pt" for name in NETWORKS)
    return Pipeline.from_torchscript(embed, edge_filter, gnn, working_point)


def assert_same(found: Found, direct: Pipeline, event: Array) -> None:
    tracks = direct(event)
    assert found.labels == tracks.labels.tolist()
    assert found.edges == list(zip(*tracks.edge_index.tolist(), strict=True))
    np.testing.assert_array_equal(found.scores, tracks.edge_scores)


def spacepoints(number: int, seed: int, neighbours: float = 10.0) -> Array:
    """[N,3] features with about so many others within the tiny networks' radius of each."""
    volume = max(number, 1) * 4.19e-3 / max(neighbours, 1e-3)
    return np.random.default_rng(seed).uniform(0.0, volume ** (1 / 3), (number, 3)).astype(np.float32)


@pytest.fixture(scope="session")
def tiny(tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(tiny_repository, WORKING_POINT, tmp_path_factory.mktemp("engine"))


@pytest.fixture(scope="session")
def tiny_direct(tiny_repository: Path) -> Pipeline:
    return direct_call(tiny_repository, WORKING_POINT)


def test_0_1_2_and_3_spacepoints(tiny: Engine, tiny_direct: Pipeline) -> None:
    events = [spacepoints(number, seed=number, neighbours=100.0) for number in range(4)]
    for found, event in zip(tiny(*events), events, strict=True):
        assert_same(found, tiny_direct, event)


def test_one_edge(tiny: Engine, tiny_direct: Pipeline) -> None:
    event = np.repeat(spacepoints(1, seed=0), 2, axis=0)
    (found,) = tiny(event)
    assert found.edges == [(1, 0)]
    assert_same(found, tiny_direct, event)


def test_clumps_are_the_tracks(tiny: Engine) -> None:
    event, clump = clumps(num_clumps=12, size=5)
    (found,) = tiny(event)
    assert len(set(zip(found.labels, clump.tolist(), strict=True))) == 12
    assert found.labels[0] == 0
    assert sorted(set(found.labels)) == list(range(12))


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(0, 1_500), st.integers(0, 2**32 - 1), st.floats(0.1, 60.0)), min_size=5, max_size=25)
)
def test_random_graphs(tiny: Engine, tiny_direct: Pipeline, cases: list[tuple[int, int, float]]) -> None:
    events = [spacepoints(*case) for case in cases]
    for found, event in zip(tiny(*events), events, strict=True):
        assert_same(found, tiny_direct, event)


@pytest.mark.parametrize("path", EVENT_FILES, ids=lambda path: path.stem)
def test_bundled_events_with_tiny_networks(tiny: Engine, tiny_direct: Pipeline, path: Path) -> None:
    events = [features(event) for event in read_events(path)]
    for found, event in zip(tiny(*events), events, strict=True):
        assert_same(found, tiny_direct, event)


@pytest.mark.parametrize("path", EVENT_FILES, ids=lambda path: path.stem)
def test_bundled_events_with_trained_networks(path: Path, tmp_path: Path) -> None:
    repository = ROOT / "model_repository"
    if not all((repository / name / "1" / "model.pt").is_file() for name in NETWORKS):
        pytest.skip("the trained networks are not exported: make models")
    cuts = read_working_point(repository)
    direct = direct_call(repository, cuts)
    events = [features(event) for event in read_events(path)]
    for found, event in zip(Engine(repository, cuts, tmp_path)(*events), events, strict=True):
        assert_same(found, direct, event)


@pytest.mark.parametrize("program", ["exatrkx-engine", "exatrkx-engine-on-host"])
def test_bundled_events_with_track_completion(tiny_repository: Path, tmp_path: Path, program: str) -> None:
    """The tiny networks leave tracks in pieces; a look at what is completed says that there were some."""
    cuts = replace(WORKING_POINT, completion_reach=1000.0, min_track_hits=4)
    direct, without = direct_call(tiny_repository, cuts), direct_call(tiny_repository, WORKING_POINT)
    events = [features(event) for event in read_events(EVENT_FILES[0])][:3]
    for found, event in zip(Engine(tiny_repository, cuts, tmp_path, program)(*events), events, strict=True):
        assert_same(found, direct, event)
        assert found.labels != without(event).labels.tolist()


@pytest.mark.parametrize(
    "event",
    [
        pytest.param([[0.1, 0.2, 0.3], [0.1, float("nan"), 0.3]], id="nan"),
        pytest.param([[0.1, 0.2, 0.3], [0.1, 0.2, float("-inf")]], id="-inf"),
        pytest.param([[0.5, 0.5, 0.5]] * 1_000, id="more edges than allowed"),
    ],
)
def test_bad_events_are_refused_for_the_same_reason(
    tiny: Engine, tiny_direct: Pipeline, event: list[list[float]]
) -> None:
    array = np.array(event, dtype=np.float32)
    with pytest.raises(ExatrkxError) as caught:
        tiny_direct(array)
    path = tiny.write(0, array)
    assert reason(tiny.refusal(path), path) == facts(str(caught.value))


def reason(refusal: str, path: Path) -> Facts:
    """The facts in what is said of a file, whose name may have numbers in it."""
    assert refusal.startswith(f"{path}: ")
    found = facts(refusal.removeprefix(f"{path}: "))
    assert found.tensors
    assert found.values
    return found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0.1,0.2\n", "line 1: expected three numbers, found '0.1,0.2'"),
        ("0.1,0.2,0.3\n\n0.1,0.2,0.3,0.4\n", "line 3: expected three numbers, found '0.1,0.2,0.3,0.4'"),
        ("r,phi,z\n", "line 1: expected three numbers, found 'r,phi,z'"),
        ("0.1,,0.3\n", "line 1: expected three numbers, found '0.1,,0.3'"),
    ],
)
def test_files_that_are_no_events(tiny: Engine, tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "event.csv"
    path.write_text(text)
    assert tiny.refusal(path) == f"{path}: {reason}"


def test_a_file_that_is_not_there(tiny: Engine, tmp_path: Path) -> None:
    assert tiny.refusal(tmp_path / "none.csv") == f"{tmp_path / 'none.csv'}: cannot be read"
    assert tiny.refusal(tmp_path) == f"{tmp_path}: cannot be read"


@pytest.fixture
def spoiled(tiny_repository: Path, tmp_path: Path) -> Engine:
    """An engine whose options a test may spoil."""
    return Engine(tiny_repository, WORKING_POINT, tmp_path)


@pytest.mark.parametrize("name", NETWORKS)
def test_network_that_is_missing_or_broken(spoiled: Engine, tmp_path: Path, name: str) -> None:
    whole = Path(spoiled.options[f"--{name}"])
    broken = {"missing.pt": None, "empty.pt": b"", "text.pt": b"no network", "cut.pt": whole.read_bytes()[:1_000]}
    for file, content in broken.items():
        path = tmp_path / file
        if content is not None:
            path.write_bytes(content)
        spoiled.options[f"--{name}"] = str(path)
        files = {which: Path(spoiled.options[f"--{which}"]) for which in NETWORKS}
        with pytest.raises(ExatrkxError) as caught:
            Pipeline.from_torchscript(files["embed"], files["filter"], files["gnn"], WORKING_POINT)
        assert spoiled.refusal() == str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no JSON: "),
        ("{", "no JSON: "),
        ("[1, 2", "no JSON: "),
        ("[" * 100_000, "no JSON: "),
        ('{"radius": inf}', "no JSON: "),
        ('{"radius": 0.1} x', "no JSON: text after its end"),
        ("[1, 2]", "expected an object of JSON"),
        (json.dumps(asdict(WORKING_POINT) | {"radius": [1]}), "radius: expected a number, found 'array'"),
        (json.dumps(asdict(WORKING_POINT) | {"radius": None}), "radius: expected a number, found 'null'"),
        ('{"radius": 0.1, "filter_cut": 0.5, "gnn_cut": 0.5}', "no field max_neighbors"),
    ],
)
def test_working_point_that_is_none(spoiled: Engine, text: str, reason: str) -> None:
    path = Path(spoiled.options["--working-point"])
    path.write_text(text)
    assert spoiled.refusal().startswith(f"{path}: {reason}")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("radius", 0.0, "radius must be positive and finite, found 0"),
        ("radius", -0.125, "radius must be positive and finite, found -0.125"),
        ("radius", "nan", "radius must be positive and finite, found nan"),
        ("gnn_cut", 1.5, "gnn_cut must be a probability in [0, 1], found 1.5"),
        ("min_hits", 0, "min_hits must be at least 1, found 0"),
        ("max_edges", -(10**30), "max_edges must be at least 1, found -1e+30"),
        ("track_building", "walk", "track_building must be components or contraction, found walk"),
        ("max_neighbors", 3.5, "max_neighbors: expected a whole number, found '3.5'"),
        ("max_neighbors", "1e3", "max_neighbors: expected a whole number, found '1e3'"),
        ("filter_cut", "half", "filter_cut: expected a number, found 'half'"),
        ("filter_cut", "", "filter_cut: expected a number, found ''"),
        ("filter_cut", "+-0.5", "filter_cut: expected a number, found '+-0.5'"),
    ],
)
def test_working_point_out_of_range(spoiled: Engine, field: str, value: float | str, reason: str) -> None:
    """Refused by both, with the field where it is only out of range."""
    path = Path(spoiled.options["--working-point"])
    path.write_text(json.dumps(asdict(WORKING_POINT) | {field: value}))
    assert spoiled.refusal() == f"{path}: {reason}"
    with pytest.raises(ContractError) as caught:
        WorkingPoint.load(path)
    if "must be" in reason:
        assert field in str(caught.value)


def test_working_point_with_several_faults(spoiled: Engine) -> None:
    path = Path(spoiled.options["--working-point"])
    path.write_text(json.dumps(asdict(WORKING_POINT) | {"radius": 0, "min_hits": "few", "gnn_cut": " +0.5 "}))
    wanted = "radius must be positive and finite, found 0; min_hits: expected a whole number, found 'few'"
    assert spoiled.refusal() == f"{path}: {wanted}"


def test_the_engine_knows_the_methods_of_track_building_that_python_knows(spoiled: Engine) -> None:
    path = Path(spoiled.options["--working-point"])
    for method in TRACK_BUILDING:
        path.write_text(json.dumps(asdict(replace(WORKING_POINT, track_building=method))))
        assert spoiled.run().returncode == 0
    path.write_text(json.dumps(asdict(WORKING_POINT) | {"track_building": "walk"}))
    assert f"must be {' or '.join(TRACK_BUILDING)}, found walk" in spoiled.refusal()


def test_working_point_with_escapes_and_a_cap_beyond_64_bits(spoiled: Engine) -> None:
    values = asdict(WORKING_POINT) | {"max_edges": 10**30, "comment": 'a "word" \\ µ π \U0001d70b\n'}
    Path(spoiled.options["--working-point"]).write_text(json.dumps(values))
    done = spoiled.run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--speed"], "--speed: no such option; --help lists them"),
        (["--threads", "many"], "--threads: expected a positive number, found 'many'"),
        (["--threads"], "--threads: expected a value"),
        (["--embed", ""], "--embed is missing; --help says what it is"),
        (["--device", "mps"], "mps: expected cpu or cuda:N"),
    ],
)
def test_arguments_that_are_wrong(spoiled: Engine, arguments: list[str], reason: str) -> None:
    assert spoiled.refusal(*arguments) == reason


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gpu_that_is_not_there(spoiled: Engine) -> None:
    assert spoiled.refusal("--device", "cuda:0") == "cuda:0: this build has no CUDA, or torch finds no GPU"


@pytest.mark.parametrize("program", ["exatrkx-engine", "exatrkx-engine-on-host"])
def test_contraction(tiny_repository: Path, tmp_path: Path, program: str) -> None:
    """Clusters, on the CPU and as on a GPU."""
    cuts = replace(WORKING_POINT, track_building="contraction", filter_cut=0.1)
    direct, engine = direct_call(tiny_repository, cuts), Engine(tiny_repository, cuts, tmp_path, program)
    event = spacepoints(800, seed=3, neighbours=30.0)
    (found,) = engine(event)
    np.testing.assert_array_equal(found.labels, direct(event).labels)
    components = direct_call(tiny_repository, replace(cuts, track_building="components"))
    assert direct(event).labels.max() > components(event).labels.max()


@pytest.mark.parametrize("max_neighbors", [1, 4, 16, 10_000])
def test_kernels_on_host_threads(tiny_repository: Path, tmp_path: Path, max_neighbors: int) -> None:
    """What the engine does on a GPU, kernel by kernel, where there is none."""
    cuts = replace(WORKING_POINT, max_neighbors=max_neighbors)
    engine = Engine(tiny_repository, cuts, tmp_path, "exatrkx-engine-on-host")
    direct = direct_call(tiny_repository, cuts)
    events = [spacepoints(number, seed=number, neighbours=30.0) for number in (0, 1, 2, 3, 200)]
    events += [np.repeat(spacepoints(8, seed=1), 5, axis=0), np.repeat(spacepoints(1, seed=2), 30, axis=0)]
    for found, event in zip(engine(*events), events, strict=True):
        assert_same(found, direct, event)


def test_kernels_on_host_threads_refuse_for_the_same_reason(tiny_repository: Path, tmp_path: Path) -> None:
    cuts = replace(WORKING_POINT, max_edges=100)
    engine = Engine(tiny_repository, cuts, tmp_path, "exatrkx-engine-on-host")
    crowd = np.repeat(spacepoints(1, seed=0), 30, axis=0)
    with pytest.raises(ExatrkxError) as caught:
        direct_call(tiny_repository, cuts)(crowd)
    path = engine.write(0, crowd)
    # The kernels give up counting one edge beyond the limit, the CPU at the spacepoint where it is passed.
    found = re.sub(r"at least \d+", f"at least {cuts.max_edges + 1}", str(caught.value))
    assert reason(engine.refusal(path), path) == facts(found)


@pytest.mark.parametrize(
    ("stage", "num_nodes", "edges", "refusal"),
    [
        ("select", 3, ["0,1,1.0", "2,-1,1.0"], "EDGE_INDEX: entries must not be negative, found -1 at column 1"),
        ("select", 3, ["0,1,1.0", "2,1,nan"], "EDGE_SCORES: entries must be numbers, found nan at entry 1"),
        ("label", 3, ["0,1,1.0", "2,3,1.0"], "EDGE_INDEX: entries must be in [0, 3), found 3 at column 1"),
        ("label", 3, ["-2,1,-1.0", "2,1,1.0"], "EDGE_INDEX: entries must be in [0, 3), found -2 at column 0"),
        ("label", 3, [f"{2**40},1,1.0"], f"EDGE_INDEX: entries must be in [0, 3), found {2**40} at column 0"),
        ("label", 0, ["0,0,1.0"], "EDGE_INDEX: entries must be in [0, 0), found 0 at column 0"),
        ("label", 3, ["0,1,nan"], "EDGE_SCORES: entries must be numbers, found nan at entry 0"),
        ("cluster", 3, ["0,1,1.0", "2,3,1.0"], "EDGE_INDEX: entries must be in [0, 3), found 3 at column 1"),
        ("cluster", 3, ["-2,1,-1.0", "2,1,1.0"], "EDGE_INDEX: entries must be in [0, 3), found -2 at column 0"),
        ("cluster", 3, ["0,1,nan"], "EDGE_SCORES: entries must be numbers, found nan at entry 0"),
    ],
)
def test_graph_stages_refuse_bad_entries_before_a_kernel_sees_them(
    stage: str, num_nodes: int, edges: list[str], refusal: str
) -> None:
    """As on a GPU, where one index out of range would end the whole process."""
    program = compiled.build("graph-stages-on-host") / "graph-stages-on-host"
    command = [str(program), stage, str(num_nodes), *edges]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert (done.returncode, done.stdout) == (0, f"{refusal}\n")


GPU_SOURCES: Final = ROOT / "backends" / "exatrkx" / "engine" / "gpu"


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc on PATH")
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize("file", sorted(path.name for path in GPU_SOURCES.glob("*.cu")))
def test_nvcc_compiles_the_kernels_with_their_launcher(file: str, architecture: str, tmp_path: Path) -> None:
    source = GPU_SOURCES / file
    command = ["nvcc", "-c", "-std=c++17", f"-arch={architecture}", "-Werror=all-warnings"]
    done = subprocess.run([*command, "-o", tmp_path / "out.o", source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc on PATH")
def test_track_completion_has_no_fused_multiply_adds(tmp_path: Path) -> None:
    """As CMake has it compiled: each product and sum is rounded as on the host."""
    options = [f"-DPython3_EXECUTABLE={sys.executable}", "-DEXATRKX_KERNELS=cuda", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"]
    subprocess.run(["cmake", "-S", GPU_SOURCES.parents[1], "-B", tmp_path, *options], check=True, capture_output=True)
    source, output = GPU_SOURCES / "completion.cu", tmp_path / "out.ptx"
    entries = json.loads((tmp_path / "compile_commands.json").read_text())
    (command,) = (entry["command"] for entry in entries if Path(entry["file"]) == source)
    assert "-fmad=false" in command.split()
    subprocess.run(["nvcc", "-ptx", "-std=c++17", "-fmad=false", "-o", output, source], check=True)
    instructions = output.read_text()
    assert "mul.rn.f64" in instructions
    assert "fma" not in instructions


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc on PATH")
def test_cmake_takes_the_kernels_wherever_nvcc_is(tmp_path: Path) -> None:
    """With nothing said of the toolkit's place, the GPU's architecture or the language's dialect."""
    options = [f"-DPython3_EXECUTABLE={sys.executable}", "-DEXATRKX_KERNELS=cuda"]
    command = ["cmake", "-S", str(ROOT / "backends" / "exatrkx"), "-B", str(tmp_path), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_gpu_finds_the_same_tracks(tiny: Engine, tiny_direct: Pipeline) -> None:
    event = spacepoints(2_000, seed=1)
    done = tiny.run("--device", "cuda:0", tiny.write(0, event))
    assert [int(line) for line in done.stdout.splitlines()[1:]] == tiny_direct(event).labels.tolist()


def test_help_names_every_option(spoiled: Engine) -> None:
    done = spoiled.run("--help")
    assert done.returncode == 0
    for option in (*spoiled.options, "--device", "--threads", "--edges"):
        assert option in done.stdout


class Column(nn.Module):
    """Scores as [E,1], from a view that is not contiguous."""

    def __init__(self) -> None:
        super().__init__()
        self.edges = TinyEdges(FILTER_LENGTH)

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        scores = self.edges(features, edge_index)
        return torch.stack((scores, scores), dim=1)[:, :1]


class Transposed(nn.Module):
    """An embedding that is not contiguous."""

    def forward(self, features: Tensor) -> Tensor:
        return features.t().contiguous().t()


def test_networks_whose_outputs_are_views(spoiled: Engine, tmp_path: Path) -> None:
    for name, network in {"embed": Transposed(), "filter": Column(), "gnn": Column()}.items():
        save_scripted(network, tmp_path / f"{name}.pt")
        spoiled.options[f"--{name}"] = str(tmp_path / f"{name}.pt")
    embed, edge_filter, gnn = (tmp_path / f"{name}.pt" for name in NETWORKS)
    direct = Pipeline.from_torchscript(embed, edge_filter, gnn, WORKING_POINT)
    events = [spacepoints(number, seed=number, neighbours=100.0) for number in (0, 1, 2, 500)]
    for found, event in zip(spoiled(*events), events, strict=True):
        assert_same(found, direct, event)
