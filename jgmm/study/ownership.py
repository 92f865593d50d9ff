"""The folder of a study: whose it is, who may write there, and what in it is ours.

    .lock                          who is writing (see `lock`)
    study.toml                     the resolved spec, and what it is computed with
    cells/, tiles/, examples/      what is computed (see `store`)
    looks.json, backends.csv       what was done (see `records`), the names of our figures in figures/.written
    summary.*, *.csv, report.html  what a report says

`study.toml` comes first and is never away, so a folder is never between two studies; files of the user's are never
removed, links never followed.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path

import tomli_w

from jgmm.study import spec
from jgmm.study.folder import files, lock, records, seal, store
from jgmm.study.spec import Study

REPORTS = ("summary.parquet", "summary.csv", "fits.csv", "verdicts.csv", "paired.csv", "report.html")
OWNED = ("looks.json", "backends.csv", "kernels.csv", *REPORTS)  # the third is an earlier version's
GROWS = ("runs", "precision", "max_runs")  # what may differ when a folder is gone on with
WORDS = ("aim", "report")  # and what says nothing about the numbers


def check(folder: Path, *, fresh: bool = False) -> None:
    """Raises ValueError if the folder cannot be a study's: nothing is written to find out.

    It may be missing, or empty but for what a study that was killed at its start leaves behind; `fresh` takes one that
    holds a study's files only, whatever they are worth.
    """
    if files.kind(folder) is not None and not folder.is_dir():
        raise ValueError(f"{folder} is a {files.kind(folder)}, expected a folder")
    for name in store.FOLDERS:
        if (kind := files.kind(folder / name)) not in (None, "folder"):
            raise ValueError(f"{folder / name} is a {kind}, expected a folder")
    for name in OWNED:
        if (kind := files.kind(folder / name)) == "folder":
            raise ValueError(f"{folder / name} is a {kind}, expected a file")
    for name in ("study.toml", "looks.json"):
        if (kind := files.kind(folder / name)) not in (None, "file"):
            raise ValueError(f"{folder / name} is a {kind}, expected a file")
    if folder.is_dir():
        # Listed before study.toml is asked for, which another command may be about to write: it is never away again.
        foreign = [path.name for path in sorted(folder.iterdir()) if not _leftover(path, fresh=fresh)]
        if foreign and files.kind(folder / "study.toml") is None:
            raise ValueError(
                f"{folder} holds files that are not a study's ({foreign[0]!r}): expected an empty or new folder"
            )


def claim(folder: Path, study: Study, environment: Mapping, *, fresh: bool) -> Study:
    """Make the folder this study's, or find the same study in it; the study as it now stands. The lock is held.

    A folder that holds more runs than are asked for keeps them. `study.toml` comes first and is never away: whenever
    this ends, the same call goes on. Raises ValueError if the folder cannot be written, holds another study, other
    files, or results of other random bits; nothing is overwritten then.
    """
    check(folder, fresh=fresh)
    stored = folder / "study.toml"
    try:
        if fresh:
            _remove_owned(folder)
        elif files.kind(stored):
            study = _same_study(folder, study, environment)
        records.looks(folder)  # which are evidence: none is added to what cannot be read
        files.make_root(folder)
        written = study.model_dump(exclude_none=True)
        text = tomli_w.dumps({**written, "environment": dict(environment)})
        if fresh or not files.kind(stored) or _without_environment(stored) != tomllib.loads(tomli_w.dumps(written)):
            files.write_text(stored, seal.text(text))
        for name in ("", *store.FOLDERS):
            if name:
                files.make_folder(folder / name)
            files.remove_temporaries(folder / name)
    except OSError as error:
        raise ValueError(f"{folder} cannot be written: {error.strerror or error}") from None
    return study


def check_study(folder: Path) -> Path:
    """The folder's study.toml. Raises ValueError if it is not a study's folder."""
    check(folder)
    path = folder / "study.toml"
    if files.kind(path) is None:
        raise ValueError(f"{folder} holds no study.toml: expected the folder of a study")
    return path


def load(folder: Path) -> Study:
    """The study whose folder this is. Raises ValueError if it is none, or its study.toml is damaged."""
    path = check_study(folder)
    return spec.parse(_sealed(path), source=str(path), folder=folder, default_name=folder.name)


def environment(folder: Path) -> dict:
    """What the study was computed with."""
    return tomllib.loads(_sealed(folder / "study.toml")).get("environment", {})


def _without_environment(stored: Path) -> dict:
    there = tomllib.loads(_sealed(stored))
    there.pop("environment", None)
    return there


def _sealed(path: Path) -> str:
    """The text of study.toml. Raises ValueError if it is not as it was written."""
    try:
        return seal.read_text(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
    except seal.Damaged as damage:
        raise ValueError(
            f"{damage}: expected it as jgmm wrote it, another --out, or --fresh to replace the study"
        ) from None


def _same_study(folder: Path, study: Study, environment: Mapping) -> Study:
    """The study with the runs that the folder's has, if more. Raises ValueError if it is another one."""
    there = tomllib.loads(_sealed(folder / "study.toml"))
    canary = there.pop("environment", {}).get("canary")
    here = tomllib.loads(tomli_w.dumps(study.model_dump(exclude_none=True)))
    free = (*GROWS, *WORDS)
    differing = [key for key in sorted({*here, *there}) if key not in free and here.get(key) != there.get(key)]
    if differing:
        told = "; ".join(_difference(key, there.get(key), here.get(key)) for key in differing)
        raise ValueError(f"{folder} holds another study ({told}): expected another --out, or --fresh to replace it")
    if environment.get("canary") is not None:
        _same_draws(folder, canary, environment["canary"], "another --out, or --fresh to replace it")
    return study.model_copy(update={"runs": max(study.runs, int(there.get("runs", 0)))})


def check_canary(folder: Path, canary: list[int]) -> None:
    """Raises ValueError if the folder's draws are not those that this canary sings of."""
    there = tomllib.loads(_sealed(folder / "study.toml")).get("environment", {})
    _same_draws(folder, there.get("canary"), canary)


def _same_draws(folder: Path, there: list[int] | None, here: list[int], *otherwise: str) -> None:
    if there is not None and there != here:
        expected = ", ".join(["expected the JAX and NumPy that made it", *otherwise])
        raise ValueError(
            f"{folder} was drawn from other random bits or means (canary {there}, here {here}): {expected}"
        )


def _difference(key: str, there, here) -> str:
    """The keys under `key` that differ, with their values."""
    if isinstance(there, dict) and isinstance(here, dict):
        inner = [k for k in sorted({*there, *here}) if there.get(k) != here.get(k)]
        return "; ".join(_difference(f"{key}.{k}", there.get(k), here.get(k)) for k in inner)
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        inner = [i for i in range(len(there)) if there[i] != here[i]]
        if inner and isinstance(there[inner[0]], dict):
            return "; ".join(_difference(f"{key}.{i}", there[i], here[i]) for i in inner)
    if isinstance(there, list) and isinstance(here, list) and there and isinstance(there[0], dict):
        return f"its {key} has {len(there)} entries, not {len(here)}"
    return f"its {key} is {there!r}, not {here!r}"


def _leftover(path: Path, *, fresh: bool) -> bool:
    """Whether this is what a study leaves that was killed before it had begun; `fresh`: or at any time."""
    if path.name == lock.NAME or files.TEMPORARY.fullmatch(path.name):
        return True
    if path.name in store.FOLDERS:
        inside = list(path.iterdir())
        return all(files.TEMPORARY.fullmatch(p.name) or (fresh and _is_owned(p)) for p in inside)
    return fresh and path.name in OWNED


def _is_owned(path: Path) -> bool:
    """Whether a file in one of our folders is ours."""
    name = store.FOLDERS[path.parent.name]
    if name is None:
        return path.name == records.WRITTEN or path.name in records.figures(path.parent)
    return name.fullmatch(path.name.removesuffix(files.DAMAGED)) is not None


def _remove_owned(folder: Path) -> None:
    """Remove what is ours but study.toml, which the next one replaces; the record of what is ours goes last."""
    for name in store.FOLDERS:
        inside = sorted((folder / name).iterdir()) if files.kind(folder / name) else []
        for path in sorted(inside, key=lambda path: path.name == records.WRITTEN):
            if _is_owned(path):
                files.remove(path)
    for name in OWNED:
        for path in (folder / name, folder / f"{name}{files.DAMAGED}"):
            files.remove(path)
