"""The only module of `jgmm.study` that changes the disk, which a test checks. Files are written whole or not at all.

A file is written under a random temporary name in the same folder, synced to the disk, and renamed, so that a reader
sees the old file or the new one. Links are never followed: a link in the file's place is replaced. Pipes and devices
are refused without waiting for them.
"""

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

TEMPORARY = re.compile(r"\.jgmm-[0-9a-f]{32}\.tmp")  # short: the file's own name may be as long as the system takes
DAMAGED = ".damaged"  # suffix of a file that was set aside

# A system without one of these flags has no links, text mode or inherited files to guard against.
_PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)


def write(path: Path, fill: Callable[[BinaryIO], object], *, durable: bool = True) -> None:
    """Call `fill` on an empty binary file, which it may seek and read, and rename that file to `path`.

    If anything fails the old file stays. durable: also sync the folder, so that the name survives a loss of power;
    files that can be made again do not need it. Raises OSError.
    """
    temporary = path.with_name(f".jgmm-{secrets.token_hex(16)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | _PLAIN, 0o666)
        with os.fdopen(descriptor, "w+b") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    if durable:
        _sync_folder(path.parent)


def write_bytes(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write bytes, whole or not at all."""
    write(path, lambda file: file.write(data), durable=durable)


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    r"""Write text in UTF-8, lines ending in \n, whole or not at all."""
    write_bytes(path, text.encode(), durable=durable)


def scratch(folder: Path) -> BinaryIO:
    """Open a file without a name. The system removes it when it is closed or its process ends. Raises OSError."""
    path = folder / f".jgmm-{secrets.token_hex(16)}.tmp"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _PLAIN | getattr(os, "O_TEMPORARY", 0), 0o600)
    if os.name == "posix":
        os.unlink(path)
    return os.fdopen(descriptor, "w+b", buffering=0)


def write_at(file: BinaryIO, offset: int, data: bytes) -> None:
    """Write all bytes of `data` at an offset of an unbuffered file. Raises OSError."""
    file.seek(offset)
    while data:
        data = data[file.write(data) :]


def open_file(path: Path) -> BinaryIO:
    """Open a file to read. Raises ValueError if it is a link, folder, pipe or device, OSError if it cannot be read."""
    return os.fdopen(_open_plain(path, os.O_RDONLY), "rb")


def read_bytes(path: Path) -> bytes:
    """A file's content. Raises as `open_file` does."""
    with open_file(path) as file:
        return file.read()


def read_text(path: Path) -> str:
    """A file's text. Raises as `open_file` does, and ValueError if it is not UTF-8."""
    try:
        return read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8 ({error.reason} at byte {error.start})") from None


def kind(path: Path) -> str | None:
    """The kind of what has this path: "file", "folder", "symbolic link" (not followed), ...; None if nothing has."""
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "symbolic link", stat.S_IFIFO: "pipe"}
    return kinds.get(stat.S_IFMT(mode), "socket" if stat.S_ISSOCK(mode) else "device")


def same(descriptor: int, path: Path) -> bool:
    """Whether an open file is the one that has this path."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def remove(path: Path) -> None:
    """Remove a file or a link (but not its target), if there is one."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def make_folder(path: Path) -> None:
    """Make a folder in an existing one, unless it exists. Raises ValueError if something else has its name."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)
    if (other := kind(path)) != "folder":
        raise ValueError(f"{path} is a {other}, expected a folder")


def make_root(path: Path) -> None:
    """Make a folder and its parents. Existing parents may be links: the user says where a study is."""
    for folder in reversed([path, *path.parents]):
        if not folder.is_dir():
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder)


def remove_empty(path: Path) -> None:
    """Remove a folder that has nothing in it; any other stays."""
    with contextlib.suppress(OSError):
        os.rmdir(path)


def set_aside(path: Path) -> Path:
    """Rename whatever has this path to a name that is never read, and return the new path."""
    aside = path.with_name(path.name + DAMAGED)
    os.replace(path, aside)
    return aside


def move(path: Path, to: Path) -> None:
    """Rename a file, durably."""
    os.replace(path, to)
    _sync_folder(to.parent)


def open_lock(path: Path) -> int:
    """The descriptor of a file to lock; the file is made if missing. Raises ValueError if the path is not a file's."""
    return _open_plain(path, os.O_RDWR | os.O_CREAT)


def _open_plain(path: Path, flags: int) -> int:
    """The descriptor of a file, without following a link or waiting. Raises ValueError if the path is not a file's."""
    try:
        descriptor = os.open(path, flags | _PLAIN | _AT_ONCE, 0o666)
    except OSError as error:
        # A link (ELOOP), a socket (ENXIO) and, elsewhere than on Linux, a folder cannot even be opened.
        if (other := kind(path)) not in (None, "file"):
            raise ValueError(f"{path} is a {other}, expected a file") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(f"{path} is a {kind(path)}, expected a file")
    return descriptor


def write_in_lock(descriptor: int, text: str) -> None:
    """Write the lock's holder into its file, in place: the lock is on this file, so no other may be renamed to it."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def remove_temporaries(folder: Path) -> None:
    """Remove the half-written files that killed processes left."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if TEMPORARY.fullmatch(path.name):
            remove(path)


def _sync_folder(folder: Path) -> None:
    """Sync the names in a folder to the disk, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # this file system cannot
            raise
    finally:
        os.close(descriptor)
