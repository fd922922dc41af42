"""Journals of interrupted runs: what is in them, whose they are, and what is left of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from exatrkx.errors import OutputRefusedError
from exatrkx.files import NamedFile
from exatrkx.journal import Journal

RUN = {"seed": 1}


def stopped_after(output: Path, *numbers: int, resume: bool = False) -> str:
    """Let a run stop with an error after these events. Returns the error's notes."""
    error = RuntimeError("stopped")
    try:
        with Journal(output, RUN, resume=resume) as journal:
            for number in numbers:
                journal.add(number=np.int64(number), name=np.str_(f"n{number}"), array=np.arange(number))
            raise error
    except RuntimeError as caught:
        return "".join(getattr(caught, "__notes__", []))


def numbers_in(output: Path, run: Mapping[str, object] = RUN) -> list[int]:
    with Journal(output, run, resume=True) as journal:
        entries = list(journal.entries())
        assert len(entries) == len(journal)
    assert all(len(entry["array"]) == entry["number"] for entry in entries)
    return [int(entry["number"]) for entry in entries]


def test_entries_of_a_stopped_run_and_of_one_that_went_on(tmp_path: Path) -> None:
    output, partial = tmp_path / "t.csv", tmp_path / "t.csv.partial"
    said = stopped_after(output, 3, 0)
    assert said == f"2 finished events are kept in {partial}: the same command with --resume goes on"
    assert stopped_after(output, 5, resume=True).startswith("3 finished events")
    assert numbers_in(output) == [3, 0, 5]
    assert not partial.exists()  # for that run ended well


def test_without_resume_a_run_begins_anew(tmp_path: Path) -> None:
    stopped_after(tmp_path / "t", 3, 0)
    stopped_after(tmp_path / "t", 7)
    assert numbers_in(tmp_path / "t") == [7]


def test_nothing_is_left_of_a_run_without_finished_events(tmp_path: Path) -> None:
    assert not stopped_after(tmp_path / "t")
    assert not list(tmp_path.iterdir())
    assert numbers_in(tmp_path / "t") == []


def test_every_cut_leaves_the_whole_entries(tmp_path: Path) -> None:
    stopped_after(tmp_path / "t", 2, 4)
    whole = (tmp_path / "t.partial").read_bytes()
    ends = []
    for size in range(whole.index(b"\n") + 1, len(whole) + 1):
        (tmp_path / "t.partial").write_bytes(whole[:size])
        ends.append(len(numbers_in(tmp_path / "t")))
    assert ends == sorted(ends)
    assert set(ends) == {0, 1, 2}
    assert ends.count(2) == 1


def test_a_signal_after_an_entry_s_last_byte_leaves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_file: NamedFile) -> int:
        raise KeyboardInterrupt

    def run() -> None:
        with Journal(tmp_path / "t", RUN, resume=False) as journal:
            monkeypatch.setattr(NamedFile, "tell", interrupted)
            journal.add(number=np.int64(3), array=np.arange(3))

    with pytest.raises(KeyboardInterrupt) as raised:
        run()
    assert raised.value.__notes__[0].startswith("1 finished events are kept")
    assert numbers_in(tmp_path / "t") == [3]


def test_a_cut_entry_is_written_again(tmp_path: Path) -> None:
    stopped_after(tmp_path / "t", 2, 400)
    whole = (tmp_path / "t.partial").read_bytes()
    (tmp_path / "t.partial").write_bytes(whole[:-1])
    stopped_after(tmp_path / "t", 1, resume=True)
    assert numbers_in(tmp_path / "t") == [2, 1]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", None),
        (b'{"format": "exatrkx-partial", "version": 1, "seed": 2}\n', "is of another run: seed 2, not 1"),
        (b'{"format": "exatrkx-partial", "version": 2, "seed": 1}\n', "is of another run: version 2, not 1"),
    ],
)
def test_a_journal_of_another_run_is_refused_and_kept(tmp_path: Path, content: bytes, reason: str | None) -> None:
    (tmp_path / "t.partial").write_bytes(content)
    if reason is None:
        assert numbers_in(tmp_path / "t") == []
        return
    with pytest.raises(OutputRefusedError, match=rf"t\.partial: {reason}; without --resume it is replaced"):
        numbers_in(tmp_path / "t")
    assert (tmp_path / "t.partial").read_bytes() == content


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("content", [b"[1]\n", b"PAR1\xff\xfe", b'{"format": "another"}\n', b"my notes", b"\n"])
def test_what_is_no_journal_is_left_alone(tmp_path: Path, content: bytes, *, resume: bool) -> None:
    (tmp_path / "t.partial").write_bytes(content)
    with pytest.raises(OutputRefusedError, match=r"t\.partial: is no journal of a run, and stays"):
        Journal(tmp_path / "t", RUN, resume=resume)
    assert (tmp_path / "t.partial").read_bytes() == content


@pytest.mark.parametrize("size", [0, 1, 20])
def test_a_journal_whose_first_line_was_cut_off_is_one(tmp_path: Path, size: int) -> None:
    stopped_after(tmp_path / "t", 3)
    (tmp_path / "t.partial").write_bytes((tmp_path / "t.partial").read_bytes()[:size])
    stopped_after(tmp_path / "t", 7)
    assert numbers_in(tmp_path / "t") == [7]


def test_a_damaged_entry_is_refused(tmp_path: Path) -> None:
    stopped_after(tmp_path / "t", 400)
    whole = (tmp_path / "t.partial").read_bytes()
    (tmp_path / "t.partial").write_bytes(whole[:-30] + bytes(30))
    with pytest.raises(OutputRefusedError, match=r"t\.partial: is damaged"):
        numbers_in(tmp_path / "t")


def test_two_runs_with_one_output(tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "t", RUN, resume=False),
        pytest.raises(OutputRefusedError, match="another run is writing it"),
    ):
        Journal(tmp_path / "t", RUN, resume=True)
