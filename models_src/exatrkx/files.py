"""Output files that are whole or absent: written under another name in the same folder, synced, then renamed.

A run that fails or is interrupted leaves what was there under the name. What a killed one (SIGKILL) had begun stays
under the other name, `.NAME.….unfinished`, until the next run that writes the same output removes it.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import io
import os
import secrets
import shutil
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from exatrkx.errors import OutputError, OutputRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_UNFINISHED: Final = "unfinished"


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path] = (), *, make_folders: bool = True) -> None:
    """Refuse outputs that cannot be written, that are inputs or each other; make the folders that they are to be in.

    Links, `./` and other spellings are seen through.

    Args:
        outputs: files that the command is going to write.
        inputs: files that it is going to read; of a folder every file in it.
        make_folders: make them where they are missing, rather than refuse that.

    Raises:
        OutputRefusedError: an output is an input, another output, or a folder.
        OutputError: an output's folder cannot be made or written to.
    """
    files = [file for path in inputs for file in (path.iterdir() if path.is_dir() else [path])]
    taken = {_identity(file): f"an input, too, as {file}" for file in files}
    for path in outputs:
        with named(path):
            if _is_special(path):  # two outputs may go to /dev/null
                continue
            if path.is_dir():
                raise OutputRefusedError(f"{path}: is a folder; name a file to write")
            if found := taken.get(_identity(path)):
                raise OutputRefusedError(f"{path}: is {found}; name another output")
            folder = _target(path).parent
            if make_folders:
                folder.mkdir(parents=True, exist_ok=True)
            if not folder.is_dir():
                raise FileNotFoundError(errno.ENOENT, f"no such folder: {folder}")
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, f"the folder {folder} is not writable")
        taken[_identity(path)] = f"another output, too, as {path}"


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that becomes `path` at the end of the `with`, unless that ends with an error.

    A device or a pipe, such as /dev/null, is written to as it is.

    Raises:
        OutputError: it cannot be written; what was there still is.
    """
    with named(path):
        special = _is_special(path)
    if special:
        with named(path), io.BufferedWriter(NamedFile(path, "wb")) as stream:
            yield stream
        return
    with _unfinished(path) as unfinished:
        yield unfinished.stream
        unfinished.sync()
        unfinished.rename()


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write several files, all of them or none: each beside its place first, then every one renamed.

    Raises:
        OutputError: one cannot be written; every file is as it was then.
    """
    alone = [path for path in contents if len(contents) == 1 or _is_special(path)]
    for path in alone:
        with whole_file(path) as stream:
            stream.write(contents[path])
    with ExitStack() as stack:
        files = {path: stack.enter_context(_unfinished(path)) for path in contents if path not in alone}
        for path, file in files.items():
            file.stream.write(contents[path])
            file.sync()
        for file in files.values():
            file.keep_old()
        try:
            for file in files.values():
                file.rename()
        except BaseException:
            for file in files.values():
                file.restore_old()
            raise


def with_appended(path: Path, text: str) -> dict[Path, bytes]:
    """What `write_files` takes to append to a text file, or to make it.

    Raises:
        OutputError: what is there cannot be read.
    """
    with named(path):
        before = path.read_bytes() if path.is_file() else b""
    return {path: before + text.encode()}


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Within the `with` an error of the operating system becomes an OutputError that names the output."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


class NamedFile(io.FileIO):
    """A file without a buffer that writes everything or raises an OutputError that names it.

    Args:
        path: what to open.
        mode: as `open` has it.
        name: what an error calls it; the path unless given.
    """

    def __init__(self, path: Path, mode: str, name: Path | None = None, **options: Any) -> None:
        self._called = name or path
        super().__init__(path, mode, **options)

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        size = len(view)
        with named(self._called):
            while len(view):
                view = view[super().write(view) :]
        return size


@contextmanager
def _unfinished(path: Path) -> Iterator[_Unfinished]:
    """An output under its other name, which is taken away again, also where a signal comes while it is made."""
    output = _Unfinished(path)
    try:
        output.open()
        yield output
    finally:
        output.remove()


class _Unfinished:
    """An output under its other name."""

    stream: io.BufferedWriter

    def __init__(self, path: Path) -> None:
        self._path = path
        self._target = self._place = _target(path)
        self._old: Path | None = None

    def open(self) -> None:
        """Make the file."""
        with named(self._path):
            if self._path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "is a folder")
            _remove_stale(self._target)
            while True:
                self._place = self._target.with_name(f".{self._target.name}.{secrets.token_hex(4)}.{_UNFINISHED}")
                self.stream = io.BufferedWriter(NamedFile(self._place, "xb", self._path))
                # Another run may have taken the new file for a stale one.
                if lock(self.stream.fileno()) and os.fstat(self.stream.fileno()).st_nlink:
                    return
                self.stream.close()

    def remove(self) -> None:
        """Close it, and take away what has this and the old one's other name."""
        with suppress(OSError, AttributeError):  # has been told, or does not matter any more; or was not opened
            self.stream.close()
        if self._place != self._target:
            self._place.unlink(missing_ok=True)
        if self._old is not None:
            self._old.unlink(missing_ok=True)

    def sync(self) -> None:
        """Bring the content to the disk."""
        with named(self._path):
            self.stream.flush()
            os.fsync(self.stream.fileno())

    def rename(self) -> None:
        """Give it the name of the output."""
        with named(self._path):
            if self._target.is_file():
                shutil.copymode(self._target, self._place)
            self._place.replace(self._target)
        with suppress(OSError):  # not every file system can
            folder = os.open(self._target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def keep_old(self) -> None:
        """Copy what is there, for `restore_old`."""
        if self._target.exists():
            with named(self._path):
                self._old = self._place.with_suffix(f".old.{_UNFINISHED}")
                shutil.copy2(self._target, self._old)

    def restore_old(self) -> None:
        if self._old is not None:
            self._old.replace(self._target)
        else:
            self._target.unlink(missing_ok=True)


def lock(descriptor: int) -> bool:
    """Lock a file until it is closed or its process ends; False where another process has."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _remove_stale(target: Path) -> None:
    """Remove what killed runs left of an output: nobody has a lock on it."""
    for place in target.parent.glob(f".{glob.escape(target.name)}.*.{_UNFINISHED}"):
        with suppress(OSError), place.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            place.unlink()


def _target(path: Path) -> Path:
    """Where the file is that a path leads to, through links."""
    return Path(os.path.realpath(path))


def _is_special(path: Path) -> bool:
    """Whether it is a device, a pipe or a socket."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _identity(path: Path) -> object:
    """What two paths have in common that lead to the same file: device and inode, or the place of one to come."""
    try:
        found = path.stat()
    except OSError:
        return _target(path)
    return found.st_dev, found.st_ino
