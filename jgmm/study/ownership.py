"""Which study a folder belongs to, whether a command may write there, and which of its files `--fresh` removes.

    .lock                          who is writing (see `lock`)
    study.toml                     the resolved spec, and the versions that it is computed with
    code/                          sources of what the study names outside jgmm (see `outside`), if any
    cells/, tiles/, examples/      computed runs (see `store`)
    looks.json, backends.csv       looks and back ends (see `records`); figures/.written lists our figures
    summary.*, *.csv, report.html  the report

`study.toml` is written first, replaced in one step and never removed, so that a folder always belongs to one study; but
of a study that is refused before a run of it is stored nothing is left. The user's own files are never removed, and
links never followed.
"""

import contextlib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import tomli_w
from pydantic import BaseModel

from jgmm import outside
from jgmm.process import Stopped
from jgmm.study import kept, spec
from jgmm.study.folder import files, lock, records, seal, store
from jgmm.study.parts import Part
from jgmm.study.spec import Study

REPORTS = ("summary.parquet", "summary.csv", "fits.csv", "verdicts.csv", "paired.csv", "report.html")
OWNED = ("looks.json", "backends.csv", "kernels.csv", *REPORTS)  # earlier versions wrote kernels.csv
GROWS = ("runs", "precision", "max_runs")  # keys that may differ between a folder's study and one that continues it
REFINES = ("refine_cells", "refined")  # keys of a part that may differ, too
WORDS = ("aim", "report")  # these may differ too, since no number depends on them
ANOTHER_FOLDER = "another --out, or --fresh to replace it"


def check(folder: Path, *, fresh: bool = False) -> None:
    """Raises ValueError unless the folder is a study's or can become one. Nothing is written.

    It can if it is missing, empty, or has only what a study killed at its start leaves behind. fresh: it can also if it
    has any files that studies write, damaged ones included.
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
        # List first, then look for study.toml: another command may be writing it just now, and never removes it.
        foreign = [path.name for path in sorted(folder.iterdir()) if not _leftover(path, fresh=fresh)]
        if foreign and files.kind(folder / "study.toml") is None:
            raise ValueError(
                f"{folder} holds files that are not a study's ({foreign[0]!r}): expected an empty or new folder"
            )


def claim(
    folder: Path, study: Study, environment: Mapping, *, fresh: bool, code: Mapping[str, bytes] | None = None
) -> Study:
    """Make the folder this study's, or continue the same study in it; return the study with the folder's runs.

    If the folder's study has more runs than this one, it keeps them. If this call is killed at any moment, the same
    call continues. Only the holder of the lock may call it. code: sources to keep beside the results, by file name.
    Raises ValueError, and overwrites nothing, if the folder cannot be written or has another study, other files, or
    results of other random bits.
    """
    check(folder, fresh=fresh)
    code = code or {}
    stored = folder / "study.toml"
    try:
        if fresh:
            _remove_owned(folder)
        elif files.kind(stored):
            study = same_study(folder, study, environment)
        records.looks(folder)  # raises if they are damaged, before anything is computed
        files.make_root(folder)
        written = study.model_dump(exclude_none=True)
        text = tomli_w.dumps({**written, "environment": dict(environment)})
        if fresh or not files.kind(stored) or _without_environment(stored) != tomllib.loads(tomli_w.dumps(written)):
            files.write_text(stored, seal.text(text))
        for name in store.FOLDERS:
            if code or name != outside.FOLDER:
                files.make_folder(folder / name)
        for name in ("", *store.FOLDERS):
            files.remove_temporaries(folder / name)
        for name, source in code.items():
            files.write_bytes(folder / outside.FOLDER / name, source)
    except OSError as error:
        raise ValueError(f"{folder} cannot be written: {error.strerror or error}") from None
    return study


def not_there(folder: Path) -> list[Path]:
    """Of a folder and its parents those that do not exist, the innermost first."""
    return [path for path in (folder, *folder.parents) if files.kind(path) is None]


@contextlib.contextmanager
def undoing(folder: Path, made: Iterable[Path], also: Iterable[str]) -> Iterator[None]:
    """Where the block refuses a study that is new in the folder, and no run is stored, remove what was written.

    Only the holder of the lock may use it. made: `not_there` before the lock was taken; these go, too, if nothing else
    is in them. also: files that the study brings. Who is stopped, or has a full disk, goes on from what is there.
    """
    new = files.kind(folder / "study.toml") is None
    try:
        yield
    except (Stopped, OSError):
        raise
    except Exception:
        runs = (path for name in ("cells", "tiles") for path in (folder / name).glob("*"))
        if new and all(files.TEMPORARY.fullmatch(path.name) for path in runs):
            _abandon(folder, made, also)
        raise


def _abandon(folder: Path, made: Iterable[Path], also: Iterable[str]) -> None:
    """Remove what a study wrote that has no runs; the lock last, and folders only if they are empty."""
    _remove_owned(folder)
    for name in store.FOLDERS:
        files.remove_temporaries(folder / name)
        files.remove_empty(folder / name)
    files.remove_temporaries(folder)
    for name in (*also, "study.toml", lock.NAME):
        files.remove(folder / name)
    for path in made:
        files.remove_empty(path)


def check_study(folder: Path) -> Path:
    """The path of the folder's study.toml. Raises ValueError if the folder is not a study's."""
    check(folder)
    path = folder / "study.toml"
    if files.kind(path) is None:
        raise ValueError(f"{folder} holds no study.toml: expected the folder of a study")
    return path


def load(folder: Path, *, trust: bool = False) -> Study:
    """The study of a folder. Raises ValueError if the folder is not a study's, or its study.toml is damaged.

    A study that names an algorithm, a noise, a step size or a page outside jgmm needs the code in its folder. trust:
    import that code; without it such a folder is refused.
    """
    path = check_study(folder)
    text = _sealed(path)
    if not trust:
        outside.check_trust(text, folder)
    return spec.parse(text, source=str(path), folder=folder, default_name=folder.name)


def runs(folder: Path) -> int:
    """How many runs of each cell the folder's study asks for. Raises ValueError as `load` does; needs no trust."""
    return int(tomllib.loads(_sealed(check_study(folder))).get("runs", 0))


def environment(folder: Path) -> dict:
    """The versions, and the canary of random bits, that the folder's study was computed with."""
    return tomllib.loads(_sealed(folder / "study.toml")).get("environment", {})


def _without_environment(stored: Path) -> dict:
    table = tomllib.loads(_sealed(stored))
    table.pop("environment", None)
    return table


def _sealed(path: Path) -> str:
    """The text of study.toml without its digest. Raises ValueError if the file is not as it was written."""
    try:
        return seal.read_text(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
    except seal.Damaged as damage:
        raise ValueError(
            f"{damage}: expected it as jgmm wrote it, another --out, or --fresh to replace the study"
        ) from None


def same_study(folder: Path, study: Study, environment: Mapping, expected: str = ANOTHER_FOLDER) -> Study:
    """The study, with the folder's number of runs if that is larger, and what its runs measure. Its claims may differ.

    Raises ValueError if the folder's study, or its canary, is another; expected: the end of that message.
    """
    old = tomllib.loads(_sealed(folder / "study.toml"))
    canary = old.pop("environment", {}).get("canary")
    study = kept.going_on(study, old)
    new = _without_young_keys(tomllib.loads(tomli_w.dumps(study.model_dump(exclude_none=True))), old)
    for part in (*old["part"], *new["part"]):
        for key in REFINES:
            part.pop(key, None)
    if len(old["part"]) == len(new["part"]):
        try:
            pairs = [kept.apart_from_claims(*each) for each in zip(new["part"], old["part"], strict=True)]
        except ValueError as error:
            raise ValueError(f"{folder} holds another study ({error}): expected {expected}") from None
        new["part"], old["part"] = ([pair[i] for pair in pairs] for i in (0, 1))
    free = (*GROWS, *WORDS)
    differing = [key for key in sorted({*new, *old}) if key not in free and new.get(key) != old.get(key)]
    if differing:
        differences = "; ".join(_difference(key, old.get(key), new.get(key)) for key in differing)
        raise ValueError(f"{folder} holds another study ({differences}): expected {expected}")
    if environment.get("canary") is not None:
        _same_draws(folder, canary, environment["canary"], expected)
    return study.model_copy(update={"runs": max(study.runs, int(old.get("runs", 0)))})


def _without_young_keys(new: dict, old: Mapping) -> dict:
    """A study's table without keys of default value that a stored one lacks: it may be older than they are."""
    whole = _as_old(new, old, Study)
    parts = list(zip(new["part"], old["part"], strict=False))
    whole["part"] = [_as_old(part, stored, Part) for part, stored in parts] + new["part"][len(parts) :]
    return whole


def _as_old(new: dict, old: Mapping, model: type[BaseModel]) -> dict:
    kept = {}
    for key, value in new.items():
        default = model.model_fields[key].default if key in model.model_fields else None
        if isinstance(default, BaseModel) and isinstance(value, dict):
            value = _as_old(value, old.get(key, {}), type(default))
            if value or key in old:
                kept[key] = value
        elif key in old or value != default:
            kept[key] = value
    return kept


def continued(folder: Path, study: Study) -> Study:
    """The study with the values that the folder's study has added to its axes, and what its runs measure beside.

    Raises ValueError as `load`.
    """
    if files.kind(folder / "study.toml") is None:
        return study
    return kept.going_on(study, tomllib.loads(_sealed(folder / "study.toml")))


def check_canary(folder: Path, canary: list[int]) -> None:
    """Raises ValueError if the folder's results were drawn from other random bits than this canary's."""
    _same_draws(folder, environment(folder).get("canary"), canary)


def _same_draws(folder: Path, stored: list[int] | None, canary: list[int], *otherwise: str) -> None:
    if stored is not None and stored != canary:
        expected = ", ".join(["expected the JAX and NumPy that made it", *otherwise])
        raise ValueError(
            f"{folder} was drawn from other random bits or means (canary {stored}, here {canary}): {expected}"
        )


def _difference(key: str, old: object, new: object, of: str = "") -> str:
    """The keys at and below `key` whose values differ, with the values. of: the part in which it is."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [k for k in sorted({*old, *new}) if old.get(k) != new.get(k)]
        return "; ".join(_difference(f"{key}.{k}" if key else k, old.get(k), new.get(k), of) for k in keys)
    if isinstance(old, list) and isinstance(new, list) and old and isinstance(old[0], dict):
        if len(old) != len(new):
            return f"its {key} has {len(old)} entries, not {len(new)}"
        pairs = enumerate(zip(old, new, strict=True))
        return "; ".join(_of_part(i, a, b) for i, (a, b) in pairs if a != b)
    return f"its {key}{of} is {old!r}, not {new!r}"


def _of_part(i: int, old: dict, new: dict) -> str:
    """In what two parts differ: the part's name with it, or its number if that differs, too."""
    name = old.get("name")
    return _difference("", old, new, f" of part {name!r}" if name == new.get("name") else f" of part {i + 1}")


def _leftover(path: Path, *, fresh: bool) -> bool:
    """Whether a study killed at its start may leave this behind. fresh: whether any study may write it."""
    if path.name == lock.NAME or files.TEMPORARY.fullmatch(path.name):
        return True
    if path.name in store.FOLDERS:
        inside = list(path.iterdir())
        return all(files.TEMPORARY.fullmatch(p.name) or (fresh and _is_owned(p)) for p in inside)
    return fresh and path.name in OWNED


def _is_owned(path: Path) -> bool:
    """Whether a study wrote this file of one of its folders, by its name."""
    name = store.FOLDERS[path.parent.name]
    if name is None:
        return path.name == records.WRITTEN or path.name in records.figures(path.parent)
    return name.fullmatch(path.name.removesuffix(files.DAMAGED)) is not None


def _remove_owned(folder: Path) -> None:
    """Remove every file of ours but study.toml, which is replaced later. The list of our figures is removed last."""
    for name in store.FOLDERS:
        inside = sorted((folder / name).iterdir()) if files.kind(folder / name) else []
        for path in sorted(inside, key=lambda path: path.name == records.WRITTEN):
            if _is_owned(path):
                files.remove(path)
    for name in OWNED:
        for path in (folder / name, folder / f"{name}{files.DAMAGED}"):
            files.remove(path)
