"""A digest (SHA-256) in every file that is read again: what a bad disk or another hand changed is told.

A Parquet file's stands in its own metadata and is taken over all of the file, footer and schema included, with zeros in
its place. A text's is its last line, over the lines before it. That of an entry in a list of records is taken over
those before it, too.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from jgmm.study.folder import files

BLANK = "0" * 64  # in the place of a digest
LINE = "# sha256 "  # begins a text's last line
_PLACE = re.compile(rb'"sha256": "([0-9a-f]{64})"')
_BLOCK = 2**20


class Damaged(ValueError):
    """What a file holds is not what was written."""


def close(file: BinaryIO) -> None:
    """Put the digest of a Parquet file, which its metadata leaves room for ("sha256": BLANK), into it."""
    place, _ = _place(file)
    digest = _digest(file, place)
    file.seek(place)
    file.write(digest.encode())


def check(file: BinaryIO) -> None:
    """Raises Damaged unless every byte of a Parquet file is as it was written."""
    place, said = _place(file)
    if _digest(file, place) != said:
        raise Damaged("its content is not that which its digest was taken of")
    file.seek(0)


def _place(file: BinaryIO) -> tuple[int, str]:
    """Where the digest of a Parquet file stands, and what stands there."""
    size = file.seek(0, 2)
    if size < 12:
        raise Damaged(f"it has {size} bytes")
    file.seek(size - 8)
    tail = file.read(8)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1" or length > size - 12:
        raise Damaged("it does not end as a Parquet file does")
    file.seek(size - 8 - length)
    found = list(_PLACE.finditer(file.read(length)))
    if len(found) != 1:
        raise Damaged("it holds no digest")
    return size - 8 - length + found[0].start(1), found[0][1].decode()


def _digest(file: BinaryIO, place: int) -> str:
    """Of all of the file, with zeros in the digest's place."""
    file.seek(0)
    digest, left = hashlib.sha256(), place
    while left:
        block = file.read(min(left, _BLOCK))
        digest.update(block)
        left -= len(block)
    digest.update(BLANK.encode())
    file.seek(place + len(BLANK))
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def text(content: str) -> str:
    """The text with its digest in a last line, a comment of TOML."""
    return f"{content}{LINE}{hashlib.sha256(content.encode()).hexdigest()}\n"


def read_text(path: Path) -> str:
    """A text that carries its digest, and does not differ from it. Raises Damaged, and what `files.read_text` does."""
    whole = files.read_text(path)
    content, mark, _ = whole.rpartition(LINE)
    if not mark:
        raise Damaged(f"{path} is damaged: it does not end with its digest")
    if text(content) != whole:
        raise Damaged(f"{path} is damaged: its content is not that which its digest was taken of")
    return content


def record(entry: Mapping[str, Any], before: Sequence[Mapping[str, Any]] = ()) -> str:
    """The digest of an entry that comes after these."""
    plain = {key: value for key, value in entry.items() if key != "sha256"}
    chained = [before[-1].get("sha256") if before else "", plain]
    return hashlib.sha256(json.dumps(chained, sort_keys=True).encode()).hexdigest()
