"""Means as labelled arrays over the axes that vary and over samples, with xarray (an extra).

A study is a grid, or several beside each other (its parts), or axes that are walked together. An axis that another one
decides in every cell (the algorithm of a part, the second of two axes walked together) is no dimension of its own but a
coordinate along that one. Where no cell is, or a cell records nothing at a number of samples, the arrays are NaN.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jgmm.report.results import Results
from jgmm.results import frames
from jgmm.study import settings
from jgmm.study.read import QUANTITIES, CellData

if TYPE_CHECKING:
    import xarray

MOST = 10**8  # entries of an array

# The arrays: their names, and the columns of summary.csv that they are from.
MEANS = {name: (f"{name}_ok_mean", f"{name}_ok_se") for name in QUANTITIES}
BESIDE = ("converged", "converged_low", "converged_high", "law_error_sq", "bound_error_sq", "runs", "runs_ok")


def dataset(results: Results) -> "xarray.Dataset":
    """Means over good runs with their standard errors (`error_sq`, `error_sq_se`, ...), shares, laws and bounds.

    Raises ValueError where two cells have the same place, or an array would have more than MOST entries.
    """
    xarray = frames.extra("xarray", "a Dataset")
    places = [_place(item) for item in results.data]
    dimensions, along = _dimensions(places)
    labels = {name: _values(place[name] for place in places) for name in dimensions}
    samples = sorted({int(count) for item in results.data for count in item.samples})
    shape = (*(len(labels[name]) for name in dimensions), len(samples))
    if math.prod(shape) > MOST:
        words = " x ".join(map(str, shape))
        raise ValueError(f"the cells span {words} places, expected at most {MOST:.0e}: summary() has a row for each")
    index = {name: {value: i for i, value in enumerate(values)} for name, values in labels.items()}
    at_sample = {count: i for i, count in enumerate(samples)}
    where = {
        item.id: tuple(index[name][place[name]] for name in dimensions)
        for item, place in zip(results.data, places, strict=True)
    }
    if len(set(where.values())) < len(places):
        raise ValueError("two cells have the same value on every axis, expected cells that differ: see cells()")
    columns = {name: mean for name, (mean, _) in MEANS.items()}
    columns |= {f"{name}_se": error for name, (_, error) in MEANS.items()} | {name: name for name in BESIDE}
    arrays = {name: np.full(shape, np.nan) for name in columns}
    for row in results.summary:
        at = (*where[row["cell"]], at_sample[row["samples"]])
        for name, column in columns.items():
            if row[column] is not None:
                arrays[name][at] = row[column]
    coordinates: dict[str, Any] = {**labels, "samples": samples}
    for name, axis in along.items():
        of_value = {place[axis]: place.get(name) for place in places}
        coordinates[name] = (axis, [of_value[value] for value in labels[axis]])
    fixed = {name: value for name, value in places[0].items() if name not in coordinates}
    return xarray.Dataset(
        {name: ((*dimensions, "samples"), array) for name, array in arrays.items()},
        coords=coordinates,
        attrs={"study": results.study.name, "seed": results.study.seed, **fixed},
    )


def _place(item: CellData) -> dict[str, Any]:
    """A cell's value on every axis, its part and algorithm first."""
    return {"part": item.cell.part, "algorithm": item.cell.algorithm, **settings.place(item.cell)}


def _dimensions(places: Sequence[dict[str, Any]]) -> tuple[list[str], dict[str, str]]:
    """The axes that vary and no other one decides; and each axis that one of these decides, with that one.

    A number goes before a name, so that the algorithms of two parts are an axis where the parts differ in nothing else.
    """
    names = list(dict.fromkeys(name for place in places for name in place))
    varying = [name for name in names if len({place.get(name) for place in places}) > 1]
    kept: list[str] = []
    along: dict[str, str] = {}
    for name in sorted(varying, key=lambda name: name == "part"):  # a part is told by what it holds, if it can be
        decider = next((axis for axis in kept if _decides(axis, name, places)), None)
        if decider is not None:
            along[name] = decider
        else:
            kept.append(name)
    for name in [*kept]:  # what a later one decides
        decider = next((axis for axis in kept if axis != name and _decides(axis, name, places)), None)
        if decider is not None:
            kept.remove(name)
            along[name] = decider
    along = {name: axis if axis in kept else along[axis] for name, axis in along.items()}
    return kept, along


def _decides(axis: str, name: str, places: Sequence[dict[str, Any]]) -> bool:
    """Whether an axis's value decides that on another, in every cell."""
    seen: dict[Any, Any] = {}
    return all(seen.setdefault(place.get(axis), place.get(name)) == place.get(name) for place in places)


def _values(values: Any) -> list:
    """The values on an axis: numbers by size, others as they come."""
    distinct = list(dict.fromkeys(values))
    return sorted(distinct) if all(isinstance(value, (int, float)) for value in distinct) else distinct
