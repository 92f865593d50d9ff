r"""Where to sample next: an axis of a part grows by bisection, between the values where something changes.

After a look at the stored runs, each curve along the axis of `refine` gives at most one interval of neighbours a < b:

    crossing    the share of runs that succeed is below its target at one end and not at the other. A start alone
                succeeds within C sigma/20, and its target is that of the verdict; a stream succeeds if each centre ends
                within half the separation of its own mean, and its target is 95 %. An interval at both of whose ends
                the share may be the target, by its confidence interval, is left as it is
    bend        where no share crosses: the local exponent d log error / d log axis changes most, and by more than its
                95 % interval allows for chance. Of the two intervals that meet there, the wider one (in log axis)

The widest crossing goes first. The new value is sqrt(a b) along axes in which powers are claimed, and (a + b)/2 along
the others (separation, start, ...), rounded to four digits, or to a whole number where the axis has such. Each round is
a look (`report.write.look_at`); rounds end when `refine_cells` are spent or no curve has an interval. The values are a
function of the stored runs alone, and stand in study.toml as `refined`, a list for each round.
"""

import math
from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Any

import numpy as np

from jgmm import stats
from jgmm.study import curves, grid, regime, summary
from jgmm.study.curves import Curve
from jgmm.study.parts import Part
from jgmm.study.read import CellData
from jgmm.study.schema import Study
from jgmm.study.verdicts import basin, success

DIGITS = 4  # of a new value


def grown(study: Study, data: Sequence[CellData]) -> Study | None:
    """The study with the values of the next round; None where there are none. data: all of its cells, as stored."""
    parts = [_with(part, next_values(study, part, _of(data, part))) for part in study.part]
    if all(new is part for new, part in zip(parts, study.part, strict=True)):
        return None
    return study.model_copy(update={"part": parts})


def _of(data: Sequence[CellData], part: Part) -> list[CellData]:
    return [item for item in data if item.cell.part == part.name]


def _with(part: Part, values: list[float]) -> Part:
    """The part with a further round; itself where that has no values."""
    return part.model_copy(update={"refined": [*part.refined, values]}) if values else part


def rounds(study: Study) -> int:
    """How many rounds a study has been through."""
    return max(len(part.refined) for part in study.part)


def words(study: Study) -> list[str]:
    """A sentence on each part that has been refined."""
    return [
        f"part {part.name}: {part.refine} refined at {', '.join(f'{value:g}' for value in chain(*part.refined))};"
        f" looks for it: {len(part.refined)}"
        for part in study.part
        if part.refined
    ]


def next_values(study: Study, part: Part, items: list[CellData]) -> list[float]:
    """The values of a part's next round, as many as its cells are left for."""
    if part.refine is None:
        return []
    sizes = grid.axes(part)[part.refine]
    each = max(len(items) // len(sizes), 1)  # cells of one value
    left = part.refine_cells // each - sum(map(len, part.refined))
    found = [curve for curve in curves.curves(study, items) if curve.axis == part.refine]
    values = [value for curve in found if (value := between(curve)) is not None and value not in sizes]
    return sorted(list(dict.fromkeys(values))[: max(left, 0)])


def between(curve: Curve) -> float | None:
    """The new value of a curve, between two of its neighbours; None where nothing changes that chance cannot."""
    where = crossing(curve)
    if where is None:
        where = bend(curve)
    return None if where is None else midpoint(curve, where)


def crossing(curve: Curve) -> int | None:
    """The index of the widest interval in which the share of successes crosses its target."""
    shares = [_share(item) for item in curve.items]
    targets = [_target(item) for item in curve.items]
    above = [share.value >= target for share, target in zip(shares, targets, strict=True)]
    open_ = [share.low <= target <= share.high for share, target in zip(shares, targets, strict=True)]
    pairs = zip(pairwise(above), pairwise(open_), strict=True)
    crossed = [i for i, ((a, b), unsure) in enumerate(pairs) if a != b and not all(unsure)]
    return max(crossed, key=lambda i: curve.x[i + 1] - curve.x[i], default=None)


def _share(item: CellData) -> stats.Interval:
    """The share of a cell's runs that succeed, with its interval."""
    if not item.cell.start_only:
        return summary.converged(item, len(item.samples) - 1)
    limit = regime.near(item.cell.separation, max(item.cell.scales))
    return summary.proportion(item.values["error_max"][:, -1] <= limit)


def _target(item: CellData) -> float:
    """The share that is asked for."""
    return success.asked_share(item.cell.k) if item.cell.start_only else basin.SHARE


def bend(curve: Curve) -> int | None:
    """The index of the wider of the two intervals between which the local exponent changes most."""
    if len(curve.x) < 3 or not (curve.x > 0).all() or curves.good_in_all(curve.items).sum() < summary.FEW:
        return None
    errors = curves.values(curve)
    if not (errors.mean(axis=1) > 0).all():
        return None
    changes = np.diff(stats.neighbour_weights(curve.x), axis=0)  # contrasts of log errors, (sizes - 2, sizes)
    found = [stats.contrast_or_line(errors, contrast) for contrast in changes]
    sure = [i for i, change in enumerate(found) if change.low > 0 or change.high < 0]
    if not sure:
        return None
    at = max(sure, key=lambda i: abs(found[i].value))
    steps = np.diff(np.log(curve.x))
    return at if steps[at] >= steps[at + 1] else at + 1


def midpoint(curve: Curve, index: int) -> float | None:
    """The value between two neighbours; None where rounding leaves none."""
    ends: list[Any] = [dict(item.cell.axes)[curve.axis] for item in curve.items[index : index + 2]]
    a, b = ends
    arithmetic = curve.axis in curves.NO_POWERS or curve.axis in dict(curve.items[0].cell.numbers) or not a > 0
    middle = (a + b) / 2 if arithmetic else math.sqrt(a * b)
    value = round(middle) if isinstance(a, int) and isinstance(b, int) else float(f"{middle:.{DIGITS}g}")
    return value if a < value < b else None
