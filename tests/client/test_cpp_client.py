"""The client in C++: its labels beside the Python client's, what it refuses, and which answers it believes."""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cpp_client
import grpc
import numpy as np
import pytest
from certificates import authority, signed
from cpp_client import find_tracks, write_csv
from extra_columns import extra_event, labels_of
from scripted_grpc import LABELS, answered, digest_of, features_of, serving
from scripted_server import MODEL, write_scripted_repository

from exatrkx.contract import extra_features
from exatrkx.digest import features_digest, request_digest, signature
from exatrkx.errors import ExitCode, UnitsError
from exatrkx.events.event import Event, features
from exatrkx.events.readers import read_events
from exatrkx_client import TrackingClient
from exatrkx_server import Access, ServerOptions, TritonServer, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripted_grpc import Answer

pytestmark = [pytest.mark.server, pytest.mark.slow]  # the build compiles

ROOT: Final = Path(__file__).resolve().parents[2]


def line(*lengths: float) -> Event:
    """Spacepoints with x = y = z = length."""
    column = np.array(lengths, dtype=np.float32)
    return Event(event_id=1, x=column, y=column, z=column)


EVENT: Final = line(10.3, 24.1, -38.7, 57.9, 86.5)
ONCE: Final = ("--retry-for", "0")


@pytest.fixture
def event_file(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "event.csv", EVENT.x, EVENT.y, EVENT.z)


def labels_in(done: subprocess.CompletedProcess[str]) -> list[int]:
    assert (done.returncode, done.stderr) == (ExitCode.DONE, "")
    return [int(line) for line in done.stdout.splitlines()]


def refused(done: subprocess.CompletedProcess[str], code: ExitCode) -> str:
    """The reason: one line."""
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.startswith("find_tracks: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize("sample", ["ttbar_mu0", "ttbar_mu10"])
def test_the_python_clients_labels(server: TritonServer, tmp_path: Path, sample: str) -> None:
    """Of the same features, bit by bit."""
    with TrackingClient(server.grpc_url) as client, serving(answered) as (service, elsewhere):
        for event in islice(read_events(ROOT / "data" / "events" / f"{sample}.parquet"), 4):
            file = write_csv(tmp_path / "event.csv", event.x, event.y, event.z)
            find_tracks(file, "--url", elsewhere, *ONCE)  # which gives no such labels
            sent = features_of(service.sent[-1])
            np.testing.assert_array_equal(sent, features(event))
            expected = client.find_tracks(sent).tolist()
            assert max(expected) > 50
            for model in ("exatrkx_ensemble", "exatrkx_custom"):
                assert labels_in(find_tracks(file, "--url", server.grpc_url, "--model", model)) == expected


@pytest.mark.parametrize("size", [0, 1, 2])
def test_small_events(server: TritonServer, tmp_path: Path, size: int) -> None:
    file = write_csv(tmp_path / "event.csv", *np.full((3, size), 40.0))
    assert labels_in(find_tracks(file, "--url", f"grpc://{server.grpc_url}")) == [-1] * size


def test_columns_by_their_names(tmp_path: Path, event_file: Path) -> None:
    """Among others, in another order, with quotes, blanks and Windows' ends of lines."""
    other = tmp_path / "other.csv"
    rows = zip(EVENT.z.tolist(), EVENT.x.tolist(), EVENT.y.tolist(), strict=True)
    lines = ['"z", geometry_id,"x" ,"y"', *(f" {z!r},a name,{x!r},{y!r} " for z, x, y in rows), ""]
    other.write_text("\r\n".join(lines), newline="")
    with serving(answered) as (service, url):
        for file in (event_file, other):
            assert labels_in(find_tracks(file, "--url", url)) == LABELS.tolist()
    assert service.sent[0].raw_input_contents == service.sent[1].raw_input_contents
    np.testing.assert_array_equal(features_of(service.sent[0]), features(EVENT))


def test_columns_beside_the_position(five_column_server: TritonServer, tmp_path: Path) -> None:
    """By the names that the server has for them; the labels are the direct call's, and so the Python client's."""
    for event in (extra_event(7), extra_event(8, 0), extra_event(9, 12)):
        others = dict(reversed(list(event.extra.items())))
        file = write_csv(tmp_path / "event.csv", event.x, event.y, event.z, **others)
        for model in ("exatrkx_ensemble", "exatrkx_custom"):
            done = find_tracks(file, "--url", five_column_server.grpc_url, "--model", model)
            assert labels_in(done) == labels_of(event)
    assert max(labels_of(extra_event(7))) > 4


@pytest.mark.parametrize(
    ("kept", "lacks", "found"),
    [
        ((), "'charge', 'count'", "none"),
        (("unused",), "'charge', 'count'", "none"),
        (("count",), "'charge'", "'count'"),
    ],
)
def test_a_missing_column_is_named(
    five_column_server: TritonServer, tmp_path: Path, kept: tuple[str, ...], lacks: str, found: str
) -> None:
    event = extra_event()
    columns = {name: event.extra[name] for name in kept}
    file = write_csv(tmp_path / "event.csv", event.x, event.y, event.z, **columns)
    told = refused(find_tracks(file, "--url", five_column_server.grpc_url), ExitCode.USAGE)
    assert f"column {lacks} is missing: the networks take charge, count beside the position; found {found}" in told


def test_a_column_that_is_no_number(five_column_server: TritonServer, tmp_path: Path) -> None:
    file = tmp_path / "event.csv"
    file.write_text("x,y,z,count,charge,name\n1,2,3,4,5,a\n30,2,3,,5,b\n")
    told = refused(find_tracks(file, "--url", five_column_server.grpc_url), ExitCode.USAGE)
    assert told == f"find_tracks: {file}: row 3: not a number: ''\n"


def test_scales_are_the_lists(tmp_path: Path) -> None:
    columns = {"b": [1, 2, 3, 4, 5], "a": [0.1, 0.2, 0.3, 0.7, 1e-30]}
    extra = {name: np.array(column, dtype=np.float32) for name, column in columns.items()}
    file = write_csv(tmp_path / "event.csv", EVENT.x, EVENT.y, EVENT.z, **extra)
    with serving(answered) as (service, url):
        service.columns, service.parameters = 5, {"extra_features": " a/0.3 , b/1e2"}
        assert labels_in(find_tracks(file, "--url", url)) == LABELS.tolist()
        expected = features(replace(EVENT, extra=extra), extra_features(service.parameters["extra_features"]))
    np.testing.assert_array_equal(features_of(service.sent[0]), expected)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({}, "takes 5 columns of FEATURES, and does not name them: send features"),
        ({"extra_features": "a"}, "its extra_features name 1 after the position"),
        ({"extra_features": ""}, "its extra_features are no list of NAME or NAME/SCALE"),
        ({"extra_features": "a,a"}, "are no list of NAME or NAME/SCALE: a,a"),
        *(
            ({"extra_features": f"a,{bad}"}, "are no list")
            for bad in ("b/0", "b/-1", "b/inf", "b/x", "b/", "/2", "b c")
        ),
    ],
)
def test_a_server_that_contradicts_itself(tmp_path: Path, parameters: dict[str, str], reason: str) -> None:
    file = write_csv(tmp_path / "event.csv", EVENT.x, EVENT.y, EVENT.z, a=EVENT.x)
    with serving(answered) as (service, url):
        service.columns, service.parameters = 5, parameters
        assert reason in refused(find_tracks(file, "--url", url), ExitCode.SERVER)
        assert service.sent == []


def test_what_is_sent(event_file: Path) -> None:
    before = time.time()
    with serving(answered) as (service, url):
        for _ in range(2):
            find_tracks(event_file, "--url", url, "--timeout", "50", "--model", "theirs")
    first, second = service.sent
    assert first.id != second.id
    assert (first.model_name, [output.name for output in first.outputs]) == ("theirs", ["LABELS", "REQUEST_DIGEST"])
    assert [(one.name, one.datatype, list(one.shape)) for one in first.inputs] == [("FEATURES", "FP32", [5, 3])]
    assert before + 50 <= first.parameters["deadline_unix_us"].int64_param / 1e6 <= time.time() + 50


def test_the_servers_refusal(server: TritonServer, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "event.csv", *np.where(np.arange(12).reshape(3, 4) == 6, np.nan, 40.0))
    told = refused(find_tracks(file, "--url", server.grpc_url), ExitCode.USAGE)
    assert "entries must be finite, found nan at row 2, column 0" in told
    assert "[request" not in told
    told = refused(find_tracks(file, "--url", server.grpc_url, "--model", "nobody's"), ExitCode.SERVER)
    assert "nobody's" in told


@pytest.mark.parametrize("scale", [0.1, 1.0, 1000.0, 4.0, 6.0])
def test_lengths_in_other_units(tmp_path: Path, scale: float) -> None:
    event = line(*np.linspace(25, 1000, 12) * scale)
    file = write_csv(tmp_path / "event.csv", event.x, event.y, event.z)
    try:
        features(event)
    except UnitsError:
        assert "fit no detector; lengths are mm" in refused(find_tracks(file, *ONCE), ExitCode.USAGE)
    else:
        with serving(lambda request, _: answered(request, labels=np.zeros(12, dtype=np.int64))) as (_, url):
            refused(find_tracks(file, "--url", url, *ONCE), ExitCode.SERVER)  # sent, and answered with others' labels


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "cannot be read, or is empty"),
        ("x,y\n1,2\n", "the header has no columns x, y and z"),
        ("x,y,z\n1,2,3\n1,2\n", "row 3: not as many cells as the header has"),
        ("x,y,z\n1,2,3\n\n1,two,3\n", "row 4: not a number: 'two'"),
        ("x,y,z\n1,2,\n", "row 2: not a number: ''"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "event.csv"
    file.write_text(text)
    assert f"event.csv: {reason}" in refused(find_tracks(file), ExitCode.USAGE)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--url"],
        ["a.csv", "b.csv"],
        ["a.csv", "--frob", "1"],
        ["a.csv", "--timeout", "-1"],
        ["a.csv", "--retry-for", "nan"],
        ["a.csv", "--url", "http://127.0.0.1:8000"],
        ["a.csv", "--url", "user:secret@host:1"],
    ],
    ids=" ".join,
)
def test_bad_command_lines(words: list[str]) -> None:
    assert "secret" not in refused(find_tracks(*words), ExitCode.USAGE)


def test_a_server_that_is_away(event_file: Path) -> None:
    url = f"127.0.0.1:{free_ports().grpc}"
    assert f"grpc://{url}: " in refused(find_tracks(event_file, "--url", url, *ONCE), ExitCode.SERVER)
    told = refused(find_tracks(event_file, "--url", url, "--retry-for", "0.3"), ExitCode.SERVER)
    assert "(after " in told


def test_a_deadline(event_file: Path) -> None:
    ended = threading.Event()

    def silent(_request: Any, context: grpc.ServicerContext) -> Any:
        if not context.add_callback(ended.set):
            ended.set()
        ended.wait(60)
        context.abort(grpc.StatusCode.INTERNAL, "nobody reads this")

    with serving(silent) as (_, url):
        told = refused(find_tracks(event_file, "--url", url, "--timeout", "5", *ONCE), ExitCode.SERVER)
    assert ended.is_set()
    assert "Deadline Exceeded" in told


def saying(code: grpc.StatusCode, text: str, *, signed: bool = False) -> Answer:
    def answer(request: Any, context: grpc.ServicerContext) -> None:
        context.abort(code, text + (signature(digest_of(request)) if signed else ""))

    return answer


OTHERS: Final = features_digest(-features(EVENT))


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda request, _: answered(request, request_id="another"), id="with another id"),
        pytest.param(
            lambda request, _: answered(request, digest=features_digest(features_of(request))), id="without the id"
        ),
        pytest.param(
            lambda request, _: answered(request, digest=request_digest(OTHERS, request.id)), id="of another event"
        ),
        pytest.param(
            lambda request, _: answered(request, labels=1 - LABELS), id="with its digest and another's labels"
        ),
        pytest.param(lambda request, _: answered(request, labels=np.r_[LABELS[:3], 1, 1]), id="with half of another's"),
        pytest.param(saying(grpc.StatusCode.INVALID_ARGUMENT, f"bad{signature(17)}"), id="another's refusal"),
        pytest.param(saying(grpc.StatusCode.INTERNAL, f"bad{signature(None)}"), id="nobody knows whose error"),
        pytest.param(
            saying(grpc.StatusCode.INVALID_ARGUMENT, "in ensemble 'x', bad"), id="unsigned out of an ensemble"
        ),
        pytest.param(saying(grpc.StatusCode.UNAVAILABLE, "try later"), id="unavailable"),
        pytest.param(saying(grpc.StatusCode.INVALID_ARGUMENT, "deadline_unix_us: passed"), id="overdue"),
    ],
)
def test_what_is_not_believed_is_asked_again(event_file: Path, wrong: Answer) -> None:
    with serving(wrong, answered) as (service, url):
        assert labels_in(find_tracks(event_file, "--url", url)) == LABELS.tolist()
        assert len({request.id for request in service.sent}) == 2
    with serving(wrong) as (service, url):
        refused(find_tracks(event_file, "--url", url, *ONCE), ExitCode.SERVER)
        assert len(service.sent) == 1


@pytest.mark.parametrize(
    ("final", "code"),
    [
        (saying(grpc.StatusCode.INVALID_ARGUMENT, "not this event", signed=True), ExitCode.USAGE),
        (saying(grpc.StatusCode.INVALID_ARGUMENT, "unexpected shape"), ExitCode.USAGE),
        (saying(grpc.StatusCode.INTERNAL, "broken", signed=True), ExitCode.SERVER),
        (saying(grpc.StatusCode.NOT_FOUND, "no such model"), ExitCode.SERVER),
        (saying(grpc.StatusCode.UNAUTHENTICATED, "who are you"), ExitCode.SERVER),
        (lambda request, _: answered(request, labels=LABELS[:4]), ExitCode.SERVER),
        (lambda request, _: answered(request, labels=LABELS.astype(np.float64)), ExitCode.SERVER),
    ],
)
def test_what_is_final_is_not_asked_again(event_file: Path, final: Answer, code: ExitCode) -> None:
    with serving(final) as (service, url):
        assert "[request" not in refused(find_tracks(event_file, "--url", url), code)
        assert len(service.sent) == 1


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server with TLS, both ways, and a token, whose model has no digest; and the folder of its files."""
    cpp_client.build()
    folder = tmp_path_factory.mktemp("guarded")
    ours = authority(folder, "ours")
    authority(folder, "others")
    host, _ = signed(ours, "server", "IP:127.0.0.1"), signed(ours, "client", "DNS:client")
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text("Open-Sesame.0123456789_~+/==\n")
    access = Access(tls_cert=host.pem, tls_key=host.key, tls_ca=ours.pem, token_file=token)
    repository = write_scripted_repository(folder / "repository")
    with TritonServer(repository, ServerOptions(log_file=folder / "log", stop_timeout_s=1, access=access)) as running:
        yield running.grpc_url, folder


def test_tls_and_token(guarded: tuple[str, Path], event_file: Path) -> None:
    url, folder = guarded
    words = (event_file, "--url", url, "--model", MODEL, *ONCE)
    files = {"TLS_CA": "ours.pem", "TLS_CERT": "client.pem", "TLS_KEY": "client.key", "TOKEN_FILE": "token"}
    good = {name: str(folder / file) for name, file in files.items()}
    assert labels_in(find_tracks(*words, **good)) == [0, 1, 2, 3, 4]
    assert "access denied" in refused(find_tracks(*words, **good | {"TOKEN_FILE": ""}), ExitCode.SERVER)
    others = good | {"TLS_CA": str(folder / "others.pem")}
    assert "access denied" in refused(find_tracks(*words, **others), ExitCode.SERVER)
    refused(find_tracks(*words, **good | {"TLS_KEY": ""}), ExitCode.USAGE)
    refused(find_tracks(*words, **good | {"TLS_CA": "nowhere.pem"}), ExitCode.USAGE)
    refused(find_tracks(*words, TOKEN="two words"), ExitCode.USAGE)
    plain = (event_file, "--url", url.replace("grpcs://", "grpc://"), *ONCE)
    refused(find_tracks(*plain, **good), ExitCode.USAGE)


def test_the_class(server: TritonServer, tmp_path: Path) -> None:
    """A program that is linked with the library; and the README's, which is compiled."""
    library = cpp_client.build().with_name("libexatrkx_client.a")
    (example,) = cpp_client.blocks("cpp")
    (tmp_path / "example.cpp").write_text(example)
    links = subprocess.run(["pkg-config", "--libs", "grpc++", "protobuf"], capture_output=True, text=True, check=True)
    compiler = [cpp_client.PROGRAMS[1], "-std=c++20", "-Wall", "-Werror", f"-I{cpp_client.SOURCES}"]
    program, source = str(tmp_path / "program"), str(Path(__file__).with_name("cpp_client.cpp"))
    for words in (
        ["-fsyntax-only", str(tmp_path / "example.cpp")],
        ["-o", program, source, str(library), *links.stdout.split(), "-pthread"],
    ):
        built = subprocess.run([*compiler, *words], capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr
    with serving(answered) as (service, url):
        words = [program, server.grpc_url, f"127.0.0.1:{free_ports().grpc}", url]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "ready, not ready, not ready", "1", "5", "features must be whole rows",
        "column 'charge' has another length than the spacepoints", "0",
    ]  # fmt: skip
    assert list(service.sent[0].inputs[0].shape) == [5, 4]
