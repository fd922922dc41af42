"""The log of a server: appended to, bounded, and the reason that is read out of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from exatrkx_server.log import ServerLog

LIMIT = 1000


@pytest.fixture
def log(tmp_path: Path) -> ServerLog:
    made = ServerLog(tmp_path / "folder" / "log", LIMIT)
    made.begin()
    return made


def write(log: ServerLog, text: str) -> None:
    with log.path.open("a") as file:
        file.write(text)


def test_errors_are_picked_out_of_the_rest(log: ServerLog) -> None:
    write(
        log,
        "I1123 23:04:18.1 12 server.cc:1] all is well\n"
        'E1123 23:04:18.2 12 server.cc:241] "CudaDriverHelper has not been initialized."\n'
        "E1123 23:04:18.3 12 model_lifecycle.cc:642] \"failed to load 'embed'\"\n"
        "+------+\n",
    )
    assert log.last_errors() == "failed to load 'embed'"
    assert not log.port_was_taken()


def test_last_lines_where_there_is_no_error(log: ServerLog) -> None:
    write(log, "a\nb\n\nc\nd\nd\n")
    assert log.last_errors() == "b\nc\nd"


def test_an_abort_is_an_error_and_its_stack_is_not(log: ServerLog) -> None:
    write(
        log,
        "I1123 x] fine\nterminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n",
    )
    write(log, "Signal (6) received.\n 0# 0x0000 in /opt/bin/tritonserver\n12# abort in /lib/libc.so.6\n\n")
    assert log.last_errors().splitlines()[1:] == ["what():  std::bad_alloc", "Signal (6) received."]


def test_nothing(log: ServerLog) -> None:
    assert log.last_errors() == "nothing in the log"


@pytest.mark.parametrize(
    "line",
    [
        "E1123 23:04:28.9 1 main.cc:293] \"failed to start Metrics service: Socket '127.0.0.1:4' already in use \"",
        "E1123 23:04:28.9 12 main.cc:1] failed to start GRPC service: failed to bind 127.0.0.1:4",
    ],
)
def test_a_port_that_was_taken(log: ServerLog, line: str) -> None:
    write(log, f"I1123 x] loading\n{line}\n")
    assert log.port_was_taken()


def test_a_server_is_not_blamed_for_what_another_one_wrote(log: ServerLog) -> None:
    write(log, "E1123 23:04:28.9 12 main.cc:1] failed to bind 127.0.0.1:4\n")
    log.begin()
    assert not log.port_was_taken()
    assert log.last_errors() == "nothing in the log"
    assert "failed to bind" in log.path.read_text(), "it is still there to be read"


def test_lines_said_again_and_again_do_not_push_out_what_was_before(log: ServerLog) -> None:
    with log.path.open("ab", buffering=0) as server:  # as a server has it: open all the time
        server.write(b"the reason\n")
        for _ in range(3):
            server.write(b"[warn] Too many open files\n" * LIMIT)
            log._rotate()
            assert log.path.stat().st_size == 0
        server.write(b"after\n")
    assert log.path.read_text() == "after\n"
    assert log.rotated.stat().st_size <= LIMIT
    assert log.rotated.read_text().count("Too many") <= 4


def test_both_files_stay_within_the_bound(log: ServerLog) -> None:
    with log.path.open("ab", buffering=0) as server:
        for number in range(5 * LIMIT):
            server.write(b"%d\n" % number)
        log._rotate()
    assert log.path.stat().st_size == 0
    assert log.rotated.stat().st_size <= LIMIT
    assert log.rotated.read_text().endswith(f"\n{5 * LIMIT - 1}\n")


def test_what_it_cannot_measure_it_leaves_alone() -> None:
    log = ServerLog(Path("/dev/null"), LIMIT)
    log.begin()
    log.write("lost")
    with log.bounded():
        assert log.last_errors() == "nothing in the log"
