"""Output files: whole or absent, on a full disk, over links, several at once, and after a killed run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exatrkx import files
from exatrkx.errors import OutputError, OutputRefusedError
from exatrkx.files import check_outputs, whole_file, with_appended, write_files


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def test_a_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"earlier")
    with whole_file(tmp_path / "a") as file:
        file.write(b"whole")
        file.flush()
        assert (tmp_path / "a").read_bytes() == b"earlier"
    assert contents(tmp_path) == {"a": b"whole"}


def test_a_link_is_followed_and_rights_are_kept(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"earlier")
    (tmp_path / "a").chmod(0o640)
    (tmp_path / "link").symlink_to("a")
    write_files({tmp_path / "link": b"later"})
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "a").read_bytes() == b"later"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_devices_are_written_to_as_they_are(tmp_path: Path) -> None:
    before = Path("/dev/null").stat()
    write_files({Path("/dev/null"): b"gone", tmp_path / "a": b"kept"})
    assert Path("/dev/null").stat().st_rdev == before.st_rdev
    assert contents(tmp_path) == {"a": b"kept"}
    with pytest.raises(OutputError, match="/dev/full: cannot be written: No space left on device"):
        write_files({Path("/dev/full"): b"gone"})


def test_all_files_or_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"earlier")
    (tmp_path / "c").mkdir()
    with pytest.raises(OutputError, match="c: cannot be written: is a folder"):
        write_files({tmp_path / "a": b"later", tmp_path / "b": b"new", tmp_path / "c": b"never"})
    assert contents(tmp_path) == {"a": b"earlier"}


def test_a_rename_that_fails_takes_the_others_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"earlier")
    rename = Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        if target.name == "c":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_files({tmp_path / name: b"later" for name in "abc"})
    assert contents(tmp_path) == {"a": b"earlier"}


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from exatrkx.files import whole_file\n"
        f"with whole_file(Path({str(tmp_path / 'a')!r})) as file:\n"
        "    file.write(b'a part'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert list(contents(tmp_path).values()) == [b"a part"]
    with whole_file(tmp_path / "a") as first, whole_file(tmp_path / "a") as second:  # which is no stale one
        first.write(b"1")
        second.write(b"2")
    assert contents(tmp_path) == {"a": b"1"}


def test_appending(tmp_path: Path) -> None:
    for text in ("µ", "b"):
        write_files(with_appended(tmp_path / "a", text))
    assert contents(tmp_path) == {"a": "µb".encode()}


def test_outputs_to_come_that_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OutputRefusedError, match=r"link/a: is another output, too, as .*a; name another"):
        check_outputs([tmp_path / "a", tmp_path / "link" / "a"])
    check_outputs([Path("/dev/null"), Path("/dev/null"), tmp_path / "new" / "a"], [tmp_path, Path("/dev/null")])
    assert (tmp_path / "new").is_dir()


def test_a_folder_that_is_not_to_be_made(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="a: cannot be written: no such folder"):
        check_outputs([tmp_path / "none" / "a"], make_folders=False)
    assert not os.listdir(tmp_path)  # noqa: PTH208 - whether there is anything


def test_a_signal_while_the_file_is_made_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_descriptor: int) -> bool:
        assert len(contents(tmp_path)) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "lock", interrupted)
    with pytest.raises(KeyboardInterrupt), whole_file(tmp_path / "a"):
        pass
    assert contents(tmp_path) == {}
