"""SHA-256 digests in files that are read again, to notice if a bad disk or another program has changed them.

a Parquet file       the digest is in the metadata and covers the whole file, with zeros in its own place
a text               the digest is the last line, a comment, and covers the lines before
a list of entries    each entry has a digest, which also covers the digest of the entry before
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from jgmm.study.folder import files

BLANK = "0" * 64  # in the place of a digest that is not known yet
LINE = "# sha256 "  # the beginning of a text's last line
_FIELD = re.compile(rb'"sha256": "([0-9a-f]{64})"')
_BLOCK = 2**20


class Damaged(ValueError):
    """A file has another content than was written to it."""


def close(file: BinaryIO) -> None:
    """Write the digest of a Parquet file into it, where its metadata says "sha256": BLANK."""
    offset, _ = _stored(file)
    digest = _digest(file, offset)
    file.seek(offset)
    file.write(digest.encode())


def check(file: BinaryIO) -> None:
    """Raises Damaged unless every byte of a Parquet file is as it was written."""
    offset, digest = _stored(file)
    if _digest(file, offset) != digest:
        raise Damaged("its content is not that which its digest was taken of")
    file.seek(0)


def _stored(file: BinaryIO) -> tuple[int, str]:
    """The offset of the digest in a Parquet file, and the digest."""
    size = file.seek(0, 2)
    if size < 12:
        raise Damaged(f"it has {size} bytes")
    file.seek(size - 8)
    tail = file.read(8)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1" or length > size - 12:
        raise Damaged("it does not end as a Parquet file does")
    file.seek(size - 8 - length)
    fields = list(_FIELD.finditer(file.read(length)))
    if len(fields) != 1:
        raise Damaged("it holds no digest")
    return size - 8 - length + fields[0].start(1), fields[0][1].decode()


def _digest(file: BinaryIO, offset: int) -> str:
    """The digest of the whole file, with BLANK at this offset."""
    file.seek(0)
    digest, left = hashlib.sha256(), offset
    while left:
        block = file.read(min(left, _BLOCK))
        digest.update(block)
        left -= len(block)
    digest.update(BLANK.encode())
    file.seek(offset + len(BLANK))
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def text(content: str) -> str:
    """The text with its digest as the last line, a comment in TOML."""
    return f"{content}{LINE}{hashlib.sha256(content.encode()).hexdigest()}\n"


def read_text(path: Path) -> str:
    """A text without its last line, the digest. Raises Damaged if the digest is wrong, else as `files.read_text`."""
    whole = files.read_text(path)
    content, mark, _ = whole.rpartition(LINE)
    if not mark:
        raise Damaged(f"{path} is damaged: it does not end with its digest")
    if text(content) != whole:
        raise Damaged(f"{path} is damaged: its content is not that which its digest was taken of")
    return content


def record(entry: Mapping[str, Any], before: Sequence[Mapping[str, Any]] = ()) -> str:
    """The digest of an entry of a list, with the entries before it."""
    plain = {key: value for key, value in entry.items() if key != "sha256"}
    chained = [before[-1].get("sha256") if before else "", plain]
    return hashlib.sha256(json.dumps(chained, sort_keys=True).encode()).hexdigest()
