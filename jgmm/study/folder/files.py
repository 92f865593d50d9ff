"""Every file that jgmm writes, reads and removes: written whole or not at all, and through no link.

A file is made under a name that nobody can have prepared, beside its own, brought to the disk, and renamed: whoever
looks sees the old file or the new one. A link is replaced, never followed; a pipe or a device is never opened for
long enough to wait for it. A test holds that nothing else in `jgmm.study` writes.
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

TEMPORARY = re.compile(r"\.jgmm-[0-9a-f]{32}\.tmp")  # of one length: a file's name may take all that there is
DAMAGED = ".damaged"  # ends the name of a file that was set aside

# Where a system lacks one of these, it lacks what it guards against.
_PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)


def write(path: Path, make: Callable[[BinaryIO], object], *, durable: bool = True) -> None:
    """Write what `make` puts into a binary file (it may seek and read there): all of it, or the old file stays.

    durable: whether the name must outlive a loss of power, too: what can be made again need not. Raises OSError.
    """
    temporary = path.with_name(f".jgmm-{secrets.token_hex(16)}.tmp")
    try:
        number = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | _PLAIN, 0o666)
        with os.fdopen(number, "w+b") as file:
            make(file)
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
    """A file without a name, to write and read, gone when it is closed or its process ends. Raises OSError."""
    path = folder / f".jgmm-{secrets.token_hex(16)}.tmp"
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _PLAIN | getattr(os, "O_TEMPORARY", 0), 0o600)
    if os.name == "posix":
        os.unlink(path)
    return os.fdopen(number, "w+b", buffering=0)


def put(file: BinaryIO, place: int, data: bytes) -> None:
    """Write bytes at a place of a file. Raises OSError."""
    file.seek(place)
    while data:
        data = data[file.write(data) :]


def open_file(path: Path) -> BinaryIO:
    """A file to read. Raises ValueError if it is a link, a folder, a pipe or a device, OSError if it cannot be read."""
    return os.fdopen(_open_plain(path, os.O_RDONLY), "rb")


def read_bytes(path: Path) -> bytes:
    """What a file holds. Raises as `open_file` does."""
    with open_file(path) as file:
        return file.read()


def read_text(path: Path) -> str:
    """A file's text. Raises as `open_file` does, and ValueError if it is not UTF-8."""
    try:
        return read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8 ({error.reason} at byte {error.start})") from None


def kind(path: Path) -> str | None:
    """What has this name, a link not followed: "file", "folder", "symbolic link", ...; None if nothing has."""
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "symbolic link", stat.S_IFIFO: "pipe"}
    return kinds.get(stat.S_IFMT(mode), "socket" if stat.S_ISSOCK(mode) else "device")


def remove(path: Path) -> None:
    """Remove a file, or a link itself; nothing there is well."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def make_folder(path: Path) -> None:
    """Make a folder in one that is there, unless it is there. Raises ValueError if something else has its name."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)
    if (other := kind(path)) != "folder":
        raise ValueError(f"{path} is a {other}, expected a folder")


def make_root(path: Path) -> None:
    """Make a folder and those above it; each may be there, as a link, too: where a study lies is the user's to say."""
    for folder in reversed([path, *path.parents]):
        if not folder.is_dir():
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder)


def set_aside(path: Path) -> Path:
    """Give whatever has this name one that is never read; the new name."""
    aside = path.with_name(path.name + DAMAGED)
    os.replace(path, aside)
    return aside


def move(path: Path, to: Path) -> None:
    """Give a file another name for good."""
    os.replace(path, to)
    _sync_folder(to.parent)


def open_lock(path: Path) -> int:
    """The number of a file to lock, made if need be. Raises ValueError if it is not a file."""
    return _open_plain(path, os.O_RDWR | os.O_CREAT)


def _open_plain(path: Path, flags: int) -> int:
    """The number of a file, through no link and without waiting. Raises ValueError if something else has its name."""
    try:
        number = os.open(path, flags | _PLAIN | _AT_ONCE, 0o666)
    except OSError as error:
        # A link (ELOOP), a socket (ENXIO) and, elsewhere than on Linux, a folder cannot even be opened.
        if (other := kind(path)) not in (None, "file"):
            raise ValueError(f"{path} is a {other}, expected a file") from error
        raise
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise ValueError(f"{path} is a {kind(path)}, expected a file")
    return number


def say_in_lock(number: int, text: str) -> None:
    """Write who holds a lock into its file: in place, for a renamed file would be another's lock."""
    os.ftruncate(number, 0)
    os.pwrite(number, text.encode(), 0)


def remove_temporaries(folder: Path) -> None:
    """Remove what killed writers left half written."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if TEMPORARY.fullmatch(path.name):
            remove(path)


def _sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    if os.name != "posix":
        return
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that does not do this
            raise
    finally:
        os.close(number)
