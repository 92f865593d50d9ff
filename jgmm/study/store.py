"""The folder of a study: what is in it, and writing it whole or not at all."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import tomli_w

from jgmm.study.spec import Study

OWNED = ("study.toml", "summary.parquet", "summary.csv", "fits.csv", "report.html")
OWNED_FOLDERS = {"cells": "*.parquet", "examples": "*.parquet", "figures": "*.png"}


def claim(folder: Path, study: Study, environment: Mapping, *, fresh: bool) -> None:
    """Make the folder this study's: write study.toml, or find the same study in it.

    Raises ValueError if it cannot be written, or holds another study or other files; nothing is overwritten then.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file, expected a folder")
    stored = folder / "study.toml"
    replaced = fresh and stored.is_file()
    if replaced:
        _remove_owned(folder)
    elif stored.is_file():
        differing = _differing(study, stored)
        if differing:
            raise ValueError(
                f"{folder} holds another study ({', '.join(differing)}):"
                " expected another --out, or --fresh to replace it"
            )
        return
    if not replaced and folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{folder} holds files that are not a study's: expected an empty or new folder")
    try:
        for name in ("", *OWNED_FOLDERS):
            (folder / name).mkdir(parents=True, exist_ok=True)
        text = tomli_w.dumps({**study.model_dump(), "environment": dict(environment)})
        _replace(stored, lambda path: path.write_text(text))
    except OSError as error:
        raise ValueError(f"{folder} cannot be written: {error.strerror or error}") from None


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet, whole or not at all."""
    _replace(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


def write_text(path: Path, text: str) -> None:
    """Write text, whole or not at all."""
    _replace(path, lambda temporary: temporary.write_text(text))


def _replace(path: Path, write) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _differing(study: Study, stored: Path) -> list[str]:
    try:
        there = tomllib.loads(stored.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        return [f"a study.toml that cannot be read: {error}"]
    there.pop("environment", None)
    here = tomllib.loads(tomli_w.dumps(study.model_dump()))
    return [f"its {key} differs" for key in sorted({*here, *there}) if here.get(key) != there.get(key)]


def _remove_owned(folder: Path) -> None:
    for name in OWNED:
        (folder / name).unlink(missing_ok=True)
    for name, pattern in OWNED_FOLDERS.items():
        for path in (folder / name).glob(pattern):
            path.unlink()
