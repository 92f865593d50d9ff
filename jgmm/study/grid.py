"""The cells of a study: its axes crossed or walked together, each setting resolved and checked."""

import difflib
import itertools
import math
from pathlib import Path

from jgmm import named, outside
from jgmm.study import limits, resolve, shown
from jgmm.study import means as files_of_means
from jgmm.study.cell import ENGINE, Cell, MixtureFields, SeedingSizes, StepSetting
from jgmm.study.fields import of_file
from jgmm.study.parts import Part
from jgmm.study.schema import Study

__all__ = ["AXES", "ENGINE", "Cell", "MixtureFields", "SeedingSizes", "StepSetting", "axes", "cells", "named_cells"]


def cells(study: Study, folder: Path = Path()) -> list[Cell]:
    """The cells of a study. Raises ValueError for one that cannot run, naming its values, and beyond the `limits`.

    folder: where files of means lie, and modules that the study names.
    """
    with outside.beside(folder, folder / outside.FOLDER):
        _check_size(study)
        files_of_means.check_names(study, folder)
        every = [cell for part in study.part for cell in _part_cells(part, folder, study.dimension)]
    runs = study.rounds()[-1]
    rows = runs * sum(cell.rows + (cell.stored_displacements + cell.rows * cell.listed) // 4 for cell in every)
    if rows > limits.ROWS:
        raise ValueError(
            f"{'runs' if study.precision is None else 'max_runs'} is {runs}: {len(every)} cells store {rows:.2g} rows,"
            f" expected at most {limits.ROWS:.0e}"
        )
    return every


def named_cells(study: Study, folder: Path = Path()) -> dict[str, Cell]:
    """`cells`, by identifier."""
    return {cell.identifier(study.seed, study.x64): cell for cell in cells(study, folder)}


def _check_size(study: Study) -> None:
    """Raises ValueError for more cells, or more numbers in them, than the limits allow; no cell is built for it."""
    total = numbers = 0
    for part in study.part:
        sizes = {name: len(values) for name, values in axes(part).items()}
        walked = max((sizes[name] for name in part.together if name in sizes), default=1)
        count = walked * math.prod(size for name, size in sizes.items() if name not in part.together)
        total += count
        if total > limits.CELLS:
            raise ValueError(f"part {part.name!r}: its axes make {count} cells, expected at most {limits.CELLS} in all")
        listed = part.stream.checkpoints
        numbers += count * (2 * max(part.mixture.k) + (len(listed) if isinstance(listed, list) else listed))
        if numbers > limits.CELL_NUMBERS:
            raise ValueError(
                f"part {part.name!r}: {count} cells with their weights, scales and checkpoints hold {numbers} numbers,"
                f" expected at most {limits.CELL_NUMBERS} in all"
            )


# Where a part holds the values of each axis: a table and a key in it.
AXES = {name: ("mixture", name) for name in ("k", "d", "sigma", "weights", "scales", "separation", "noise")}
AXES |= {name: ("mixture", name) for name in ("df", "share", "factor", "covariance", "dwell", "drift")}
AXES |= {name: ("stream", name) for name in ("start", "head", "n", "batch", "rate", "estimates", "average")}
AXES |= {"beta": ("em", "beta")}
AXES |= {f"seeding.{name}": ("seeding", name) for name in SeedingSizes.model_fields}


# Axes that a part has only where it names others than these: cells are older than they are.
LEFT_OUT: dict[str, list] = {"covariance": ["spherical"], "dwell": [0.0], "drift": [0.0]}


def axes(part: Part) -> dict[str, list]:
    """The values along each axis that means something to the part."""
    idle = part.idle()
    own = {name: getattr(getattr(part, table), key) for name, (table, key) in AXES.items() if (table, key) not in idle}
    own = {name: values for name, values in own.items() if values != LEFT_OUT.get(name)}
    defaults = {n: value for n, value in named.load("algorithm", part.algorithm).numbers if n not in AXES}
    for name in part.numbers:
        if name not in defaults:
            expected = ", ".join(defaults) or "none"
            raise ValueError(f"part {part.name!r}: numbers.{name}: unknown key, expected {expected}")
    along = {**own, **{name: part.numbers.get(name, [value]) for name, value in defaults.items()}}
    if part.refine is None:
        return along
    _check_refine(part, along)
    return {**along, part.refine: sorted([*along[part.refine], *itertools.chain(*part.refined)])}


def _check_refine(part: Part, along: dict[str, list]) -> None:
    """Raises ValueError unless `refine` names an axis of three numbers or more, and `refined` has values between."""
    told, values = f"part {part.name!r}: refine", along.get(str(part.refine), [])
    if part.refine not in along or part.refine in part.together:
        expected = ", ".join(name for name in along if name not in part.together)
        raise ValueError(f"{told} is {shown.value(part.refine)}, expected an axis of its own: one of {expected}")
    if len(set(map(str, values))) < 3 or not all(isinstance(value, (int, float)) for value in values):
        raise ValueError(f"{told} is {part.refine!r}, expected an axis of three numbers or more to begin with")
    whole = all(isinstance(value, int) for value in values)
    for value in itertools.chain(*part.refined):
        if not min(values) < value < max(values) or isinstance(value, int) != whole or value in values:
            raise ValueError(
                f"{told}d has {value!r}, expected values between those of {part.refine}, as jgmm wrote them"
            )


def _part_cells(part: Part, folder: Path, dimension: str) -> list[Cell]:
    """The cells of a part: its axes crossed, but for those that are walked together."""
    along = axes(part)
    _check_together(part, along)
    walked = [
        dict(zip(part.together, values, strict=True)) for values in zip(*(along[n] for n in part.together), strict=True)
    ]
    crossed = [[{name: value} for value in values] for name, values in along.items() if name not in part.together]
    means = files_of_means.of_part(part, folder) if of_file(part.mixture.layout) else None
    points = [
        {name: value for setting in settings for name, value in setting.items()}
        for settings in itertools.product(*crossed, walked or [{}])
    ]
    cells_of_part = [resolve.cell(part, means, point, dimension) for point in points]
    return list(dict.fromkeys(cells_of_part))  # axes that a start does not use give the same cell again


def _check_together(part: Part, along: dict[str, list]) -> None:
    """Raises ValueError unless `together` names axes of one length, each once."""
    for name in part.together:
        if name not in along:
            near = difflib.get_close_matches(name, along, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(
                f"part {part.name!r}: together names {shown.value(name)}, expected some of {', '.join(along)}{hint}"
            )
    sizes = {name: len(along[name]) for name in part.together}
    if len(sizes) < len(part.together):
        raise ValueError(f"part {part.name!r}: together is {shown.value(part.together)}, expected each axis once")
    if len(set(sizes.values())) > 1:
        lengths = ", ".join(f"{name} has {size}" for name, size in sizes.items())
        raise ValueError(f"part {part.name!r}: axes walked together differ in length ({lengths}), expected one length")
