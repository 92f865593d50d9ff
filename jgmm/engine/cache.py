"""The folder of machine code: code that was compiled once is found again by a key, a digest of what it was made from.

An entry is a file KEY.code: magic, key, digest of the code, code. It is written under another name and then renamed, so
that a reader sees all of it or nothing. An entry whose digest is wrong counts as missing, and is replaced when the code
is compiled anew. Code that is read here is executed, so an entry must be a file of this user's own, in a folder of this
user's own, to which nobody else may write. Links and other users' files are neither followed nor removed.

Nothing is kept until `configure` names a folder. A fault of the file system is no error: code is then compiled again,
and `fault` says so once.
"""

import contextlib
import functools
import hashlib
import os
import re
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

MAGIC = b"jgmmcod1"  # ends with the format's number
LIMIT = 2**28  # bytes of the folder
LEFT = 3 / 4  # of the limit, once the least recently used entries are gone
UNFINISHED_SECONDS = 86_400.0  # after which a file that has not been renamed is of a writer that was killed

_KEY = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[0-9a-f]{64}\.code|\.[0-9a-f]{32}\.tmp")
# Through no link, and without waiting for a pipe. Where a system lacks one of these, it lacks what it guards against.
_PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)


class _Folder:
    """Where entries are. `size`: bytes of all of them, as last listed and with what this process has written since."""

    def __init__(self, path: Path, limit: int):
        self.path, self.limit, self.lock = path, limit, threading.Lock()
        self.size: int | None = None


_current: _Folder | None = None
_faults: list[str] = []  # the first one, and once it is told an empty one


def configure(folder: Path | None, *, limit: int = LIMIT) -> None:
    """Keep machine code in this folder from now on, made if need be, in no more than `limit` bytes; None: nowhere."""
    global _current
    _current = None
    _faults.clear()
    if folder is None:
        return
    try:
        folder = folder.expanduser().absolute()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_folder(folder)
    except (OSError, RuntimeError) as error:  # the latter: no home
        _note(error)
    else:
        _current = _Folder(folder, limit)


def fault() -> str | None:
    """Why machine code is not kept, in a line for the command to tell: once after a `configure`, else None."""
    told = _faults[0] if _faults else ""
    _faults[:] = [""] if told else _faults
    return f"machine code is not kept ({told})" if told else None


def key_of(*parts: str) -> str:
    """The name of what is made from these parts alone, in this order.

    For machine code: the program's text, target triple, CPU, its features, the versions of llvmlite and of LLVM.
    """
    digest = hashlib.blake2b(MAGIC, digest_size=32)
    for part in map(str.encode, parts):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


@functools.lru_cache
def version() -> str:
    """A digest of the engine's sources: code that another version of them has written is not this one's."""
    digest = hashlib.blake2b(digest_size=16)
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def load(key: str) -> bytes | None:
    """The code of this key; None where there is none that can be trusted."""
    folder = _current
    if folder is None:
        return None
    path = _entry(folder, key)
    try:
        number = os.open(path, os.O_RDONLY | _PLAIN | _AT_ONCE)
    except OSError:
        return None
    try:
        told = os.fstat(number)
        if not (_ours(told) and _only_ours(told) and told.st_size <= folder.limit):
            return None
        with os.fdopen(number, "rb", closefd=False) as file:
            data = file.read()
        code = data[len(_header(key, b"")) :]
        if data != _header(key, code) + code:
            return None
        with contextlib.suppress(OSError):  # a file system to read only
            os.utime(number if os.utime in os.supports_fd else path)
        return code
    except OSError:
        return None
    finally:
        os.close(number)


def store(key: str, code: bytes) -> None:
    """Keep code under this key, in the place of an older entry; not if it is more than the whole folder may hold."""
    folder = _current
    if folder is None:
        return
    path, data = _entry(folder, key), _header(key, code) + code
    if len(data) > folder.limit:
        return
    try:
        with contextlib.suppress(FileNotFoundError):
            if not _ours(os.lstat(path)):
                raise PermissionError(f"{path} is not a file of this user")
        _write(path, data)
        with folder.lock:
            folder.size = None if folder.size is None else folder.size + len(data)
            if folder.size is None or folder.size > folder.limit:
                folder.size = _make_room(folder, path)
    except OSError as error:
        _note(error)


def _entry(folder: _Folder, key: str) -> Path:
    """Raises ValueError for what `key_of` cannot have given: a key names a file."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"key is {key!r}, expected 64 hexadecimal digits")
    return folder.path / f"{key}.code"


def _header(key: str, code: bytes) -> bytes:
    return MAGIC + bytes.fromhex(key) + hashlib.blake2b(code, digest_size=32).digest()


def _write(path: Path, data: bytes) -> None:
    """A whole file, to which nobody else may write, whatever the umask. Raises OSError.

    Not `study.files`: that gives the user's own permissions, and waits for the disk, which here a digest makes good.
    """
    temporary = path.with_name(f".{secrets.token_hex(16)}.tmp")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAIN, 0o600), "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _make_room(folder: _Folder, fresh: Path) -> int:
    """The folder's size, without the least recently used entries if it is beyond its limit. `fresh` stays."""
    files = sorted(entries(folder.path))
    size = sum(weight for _, _, weight in files)
    left = folder.limit if size <= folder.limit else LEFT * folder.limit
    old = time.time() - UNFINISHED_SECONDS
    for modified, path, weight in files:
        if path != fresh and (modified < old if path.suffix == ".tmp" else size > left):
            with contextlib.suppress(OSError):  # on Windows, somebody may be reading it
                path.unlink(missing_ok=True)  # another process makes room, too
                size -= weight
    return size


def entries(folder: Path) -> Iterator[tuple[float, Path, int]]:
    """Last use, path and bytes of each file that this user's processes wrote there."""
    for path in folder.iterdir():
        if _NAME.fullmatch(path.name):
            with contextlib.suppress(FileNotFoundError):
                told = os.lstat(path)
                if _ours(told):
                    yield told.st_mtime, path, told.st_size


def _check_folder(folder: Path) -> None:
    """Raises OSError unless it is this user's own, nobody else may write to it, and this process may."""
    told = os.stat(folder)  # what a link leads to: where caches lie is the user's to say
    if not _owned(told):
        raise OSError(f"{folder} is another user's")
    if not _only_ours(told):
        raise OSError(f"{folder} has mode {stat.S_IMODE(told.st_mode):o}, expected one for its owner alone to write to")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise OSError(f"{folder} is not writable")


def _ours(told: os.stat_result) -> bool:
    """Whether it is a file, no link or pipe, of this user."""
    return stat.S_ISREG(told.st_mode) and _owned(told)


def _owned(told: os.stat_result) -> bool:
    return os.name != "posix" or told.st_uid == os.geteuid()


def _only_ours(told: os.stat_result) -> bool:
    return os.name != "posix" or not told.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _note(error: OSError | RuntimeError) -> None:
    if not _faults:
        if isinstance(error, OSError) and error.filename:
            _faults.append(f"{error.filename}: {error.strerror}")
        else:
            _faults.append(str(error))
