"""Means from a `.npy` file: checked as they are read, identified by a digest, copied beside the results.

A spec names the file relative to itself. The study's folder has a copy under the file's base name; `study.toml` names
the copy and the digest of its numbers. Needs no JAX.
"""

import hashlib
import re
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from jgmm.study import limits, shown
from jgmm.study.fields import of_file
from jgmm.study.folder import files
from jgmm.study.parts import Part
from jgmm.study.schema import Study

# A base name is also written into summary.csv: it may be no path, and no formula of a spreadsheet.
BASE_NAME = re.compile(r"\w[\w .+-]*\.npy")
HEADER_BYTES = 2**16


class Means(NamedTuple):
    """The content of a file of means."""

    values: np.ndarray  # (k, d), float64
    digest: str
    closest: float  # the smallest distance between two means; infinite if there is only one


def read(path: Path) -> Means:
    """The means in a file. Raises ValueError, without the path, unless it holds distinct finite means of shape (k, d).

    The header is checked against the file's size before the numbers are read, and nothing is ever unpickled.
    """
    try:
        if not path.is_file():
            raise ValueError("is no file")
        with path.open("rb") as file:
            values = _numbers(file, path.stat().st_size)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from None
    if not np.isfinite(values).all():
        raise ValueError("holds a number that is not finite")
    closest = _closest(values)
    if closest == 0:
        raise ValueError("holds the same mean twice: expected means that differ")
    content = np.array(values.shape, "<i8").tobytes() + values.astype("<f8").tobytes()
    return Means(values, hashlib.sha256(content).hexdigest()[:12], closest)


def _numbers(file: BinaryIO, size: int) -> np.ndarray:
    """The array in a .npy file of `size` bytes, as float64."""
    expected = "expected a .npy file of real numbers of shape (k, d), as np.save writes it"
    if size > 16 * limits.MEANS + HEADER_BYTES:
        raise ValueError(f"has {size} bytes, more than k d = {limits.MEANS} numbers take")
    reads = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        version = np.lib.format.read_magic(file)
        shape, by_column, dtype = reads[version](file)
    except Exception:  # NumPy evaluates the header's text, which may raise anything
        raise ValueError(f"is none: {expected}") from None
    if dtype.kind not in "iuf":
        raise ValueError(f"holds {shown.value(dtype.name)}: {expected}")
    if len(shape) != 2 or min(shape) < 1:
        raise ValueError(f"holds an array of shape {shown.value(shape)}: {expected}")
    if shape[0] > limits.COMPONENTS or shape[0] * shape[1] > limits.MEANS:
        expected = f"expected k at most {limits.COMPONENTS} and k d at most {limits.MEANS}"
        raise ValueError(f"holds {shape[0]} x {shape[1]} numbers: {expected}")
    data = file.read()
    if len(data) != shape[0] * shape[1] * dtype.itemsize:
        raise ValueError(f"holds {len(data)} bytes behind a header that says {shape[0]} x {shape[1]} of {dtype.name}")
    with np.errstate(over="ignore"):
        values = np.frombuffer(data, dtype).astype(np.float64)
    return np.ascontiguousarray(values.reshape(shape, order="F" if by_column else "C"))


def _closest(means: np.ndarray) -> float:
    """The smallest distance between two means."""
    scale = np.abs(means).max() or 1.0  # so that squares neither overflow nor underflow
    scaled = means / scale
    apart = [((scaled[i + 1 :] - mean) ** 2).sum(axis=1).min() for i, mean in enumerate(scaled[:-1])]
    return float(np.sqrt(min(apart)) * scale) if apart else np.inf


def of_part(part: Part, folder: Path) -> Means:
    """The means of a part whose layout is a file. Raises ValueError unless the file is as the spec says."""
    layout = part.mixture.layout
    layout_is = f"part {part.name!r}: layout is {shown.path(layout)}"
    if not BASE_NAME.fullmatch(Path(layout).name):
        raise ValueError(
            f"{layout_is}: expected a file name that begins with a letter or digit, without odd characters"
        )
    try:
        means = read(folder / layout)
    except ValueError as error:
        raise ValueError(f"{layout_is}, but it {error}") from None
    if part.mixture.layout_hash not in (None, means.digest):
        raise ValueError(f"{layout_is}, but its means have digest {means.digest}, expected {part.mixture.layout_hash}")
    return means


def at_home(study: Study, folder: Path) -> Study:
    """The study as its folder's study.toml has it: files of means by base name and digest. Raises as `of_part`."""
    parts = []
    for part in study.part:
        if of_file(part.mixture.layout):
            copy = {"layout": Path(part.mixture.layout).name, "layout_hash": of_part(part, folder).digest}
            part = part.model_copy(update={"mixture": part.mixture.model_copy(update=copy)})
        parts.append(part)
    return study.model_copy(update={"part": parts})


def check_names(study: Study, folder: Path) -> None:
    """Raises ValueError if two different files have the same base name, since their copies lie in one folder."""
    files_by_name: dict[str, tuple[Path, str]] = {}
    for part in study.part:
        if of_file(part.mixture.layout):
            path, digest = folder / part.mixture.layout, of_part(part, folder).digest
            first, first_digest = files_by_name.setdefault(path.name.casefold(), (path, digest))
            if (first_digest, first.name) != (digest, path.name):
                raise ValueError(
                    f"part {part.name!r}: layout {shown.path(path)} has the name of {shown.path(first)}"
                    " and is another file: expected names that differ, whatever their case"
                )


def contents(study: Study, folder: Path) -> dict[str, bytes]:
    """The bytes of the study's files of means, by base name. Raises OSError."""
    paths = {folder / part.mixture.layout for part in study.part if of_file(part.mixture.layout)}
    return {path.name: path.read_bytes() for path in sorted(paths)}


def keep(contents: dict[str, bytes], out: Path) -> list[str]:
    """Write these files of means into `out`. Other files of these names are set aside; return a sentence for each."""
    set_aside = []
    for name, content in contents.items():
        path = out / name
        if (kind := files.kind(path)) == "file" and files.read_bytes(path) == content:
            continue
        if kind is not None:
            set_aside.append(f"{path} was not what this study is made with, and is now {files.set_aside(path).name}")
        files.write_bytes(path, content)
    return set_aside
