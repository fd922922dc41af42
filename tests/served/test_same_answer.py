"""The same answer, proved: direct call = ensemble = custom backend, each in C++ and in Python."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import compiled
import numpy as np
import pytest
import torch
from answers import TOLERANCE, Answer, assert_same_answer, edges_of
from hypothesis import given, settings
from hypothesis import strategies as st
from serving import Caller
from tiny_networks import WORKING_POINT

from exatrkx.contract import CUSTOM, ENSEMBLE
from exatrkx.events.event import features
from exatrkx.events.parquet import read_events
from exatrkx.networks.torchscript import inference
from exatrkx.pipeline import Pipeline
from exatrkx.serving.model_config import read_working_point
from exatrkx_server import ServerOptions, TritonServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from answers import Array, Crossing, Edge

ROOT: Final = Path(__file__).resolve().parents[2]
EVENT_FILES: Final = sorted((ROOT / "data" / "events").glob("*.parquet"))
NETWORKS: Final = ("embed", "filter", "gnn")
SERVED: Final = (
    "ensemble, all in C++",
    "ensemble, its networks in C++",
    "ensemble, all in Python",
    "custom backend in C++",
    "custom backend in Python",
)


@dataclass(frozen=True)
class Ways:
    """The direct call, and servers with the same files."""

    direct: Pipeline
    served: dict[str, Callable[[Array], Answer]]
    known: dict[bytes, tuple[Answer, dict[Edge, float]]] = field(default_factory=dict)

    def reference(self, event: Array) -> tuple[Answer, dict[Edge, float]]:
        """The direct call's answer, and the filter's score of each edge that it saw; found once for all ways."""
        key = event.tobytes()
        if key not in self.known:
            self.known[key] = self._reference(event)
        return self.known[key]

    def _reference(self, event: Array) -> tuple[Answer, dict[Edge, float]]:
        tracks = self.direct(event)
        with inference():
            scores = self.direct.edge_filter(torch.from_numpy(event), torch.from_numpy(tracks.neighbour_edges))
        seen = dict(zip(edges_of(tracks.neighbour_edges), scores.reshape(-1).tolist(), strict=True))
        return Answer(tracks.labels, tracks.edge_index, tracks.edge_scores, event), seen

    def compare(self, way: str, event: Array) -> list[Crossing]:
        expected, seen = self.reference(event)
        return assert_same_answer(expected, self.served[way](event), seen, self.direct.working_point)


def answers_of(server: TritonServer, model: str, stack: ExitStack) -> Callable[[Array], Answer]:
    caller = Caller(server)
    stack.callback(caller.close)

    def answer(event: Array) -> Answer:
        outputs = caller(model, {"FEATURES": event})
        return Answer(outputs["LABELS"], outputs["EDGE_INDEX"], outputs["EDGE_SCORES"])

    return answer


@pytest.fixture(scope="module", params=["tiny", "trained"])
def ways(
    request: pytest.FixtureRequest, tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ways]:
    compiled.build()
    repository = tiny_repository if request.param == "tiny" else ROOT / "model_repository"
    files = [repository / name / "1" / "model.pt" for name in NETWORKS]
    if not all(file.is_file() for file in files):
        pytest.skip("the trained networks are not exported: make models")
    embed, edge_filter, gnn = files
    logs = tmp_path_factory.mktemp("servers")
    with ExitStack() as stack:
        in_cpp = stack.enter_context(
            TritonServer(repository, ServerOptions(log_file=logs / "cpp.log", custom_backend="compiled", device="cpu"))
        )
        in_python = stack.enter_context(
            TritonServer(repository, ServerOptions(log_file=logs / "python.log", custom_backend="python", device="cpu"))
        )
        options = ServerOptions(
            log_file=logs / "all.log",
            custom_backend="compiled",
            stages="compiled",
            device="cpu",  # a GPU's scores are others, see perf/exatrkx_perf/gpu_check/answers.py
            models=(ENSEMBLE.name,),
        )
        all_in_cpp = stack.enter_context(TritonServer(repository, options))
        placed = [(all_in_cpp, ENSEMBLE.name)]
        placed += [(server, model) for model in (ENSEMBLE.name, CUSTOM.name) for server in (in_cpp, in_python)]
        yield Ways(
            Pipeline.from_torchscript(embed, edge_filter, gnn, read_working_point(repository)),
            {way: answers_of(server, model, stack) for way, (server, model) in zip(SERVED, placed, strict=True)},
        )


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Shows a text whether the test passes or not."""

    def show(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}")

    return show


@pytest.mark.server
@pytest.mark.parametrize("way", SERVED)
@pytest.mark.parametrize("path", EVENT_FILES, ids=lambda path: path.stem)
def test_bundled_events(ways: Ways, way: str, path: Path, say: Callable[[str], None]) -> None:
    for event in read_events(path):
        for crossing in ways.compare(way, features(event)):
            say(f"{path.name}, event {event.event_id}, {way}: {crossing}")


@pytest.fixture(scope="module")
def bundled() -> Array:
    """The spacepoints of a bundled event."""
    return features(next(iter(read_events(EVENT_FILES[0], [3]))))


@pytest.mark.server
@pytest.mark.parametrize("way", SERVED)
def test_random_graphs(ways: Ways, way: str, bundled: Array) -> None:
    """Spacepoints drawn from an event, so that they have neighbours in any embedding, repeated and moved."""

    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(st.integers(0, 800), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1e-3, 0.1]))
    def compare(number: int, seed: int, shift: float) -> None:
        random = np.random.default_rng(seed)
        drawn = bundled[random.integers(len(bundled), size=number)]
        moved = (drawn + random.normal(0.0, shift, drawn.shape)).astype(np.float32)
        ways.compare(way, moved)

    compare()


# What the comparison itself lets pass.
FOUR: Final = Answer(
    labels=np.array([0, 0, 0, -1]),
    edge_index=np.array([[1, 2, 3], [0, 1, 2]]),
    edge_scores=np.array([2.0, 1.0, -1.0], dtype=np.float32),
)
SEEN: Final[dict[Edge, float]] = {(1, 0): 3.0, (2, 1): 3.0, (3, 2): 5e-5, (3, 0): -5e-5, (3, 1): -0.5}


def compare(found: Answer, expected: Answer = FOUR) -> list[str]:
    return [str(crossing) for crossing in assert_same_answer(expected, found, SEEN, WORKING_POINT)]


def test_equal_answers_are_the_same() -> None:
    assert compare(FOUR) == []
    assert compare(replace(FOUR, edge_scores=FOUR.edge_scores + TOLERANCE / 2)) == []


def test_a_gnn_score_near_the_cut_may_cross_it() -> None:
    near = replace(FOUR, edge_scores=np.array([2.0, 1.0, -3e-5], dtype=np.float32))
    across = Answer(np.zeros(4, dtype=np.int64), FOUR.edge_index, np.array([2.0, 1.0, 4e-5], dtype=np.float32))
    assert compare(across, near) == ["gnn: the score of edge (3, 2) crosses the cut, by 4.00e-05 in logit"]


def test_a_filter_score_near_the_cut_may_cross_it() -> None:
    without = Answer(FOUR.labels, FOUR.edge_index[:, :2], FOUR.edge_scores[:2])
    text = ["filter: the score of edge (3, 2) crosses the cut, by 5.00e-05 in logit"]
    assert compare(without) == text
    assert compare(FOUR, without) == text


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(replace(FOUR, labels=np.array([0, 0, 0, 0])), id="labels without a reason"),
        pytest.param(replace(FOUR, labels=FOUR.labels[:3]), id="a label missing"),
        pytest.param(replace(FOUR, edge_scores=FOUR.edge_scores + 2 * TOLERANCE), id="other scores"),
        pytest.param(replace(FOUR, edge_index=FOUR.edge_index[:, ::-1]), id="edges in another order"),
        pytest.param(
            Answer(np.zeros(4, dtype=np.int64), FOUR.edge_index, np.array([2.0, 1.0, 1.0], dtype=np.float32)),
            id="a score far across the cut",
        ),
        pytest.param(
            Answer(FOUR.labels, np.array([[1, 2, 3], [0, 1, 1]]), FOUR.edge_scores), id="an edge far below the cut"
        ),
        pytest.param(
            Answer(FOUR.labels, np.array([[1, 2, 2], [0, 1, 0]]), FOUR.edge_scores), id="an edge that was never there"
        ),
        pytest.param(
            Answer(np.array([0, 0, 0, 0]), FOUR.edge_index[:, :2], FOUR.edge_scores[:2]),
            id="a crossing, but labels of other edges",
        ),
    ],
)
def test_everything_else_is_refused(found: Answer) -> None:
    with pytest.raises(AssertionError):
        compare(found)
