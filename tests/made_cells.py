"""Cells made by hand, as if stored, for tests of what a report shows and says of them: no stream is run."""

from pathlib import Path

import numpy as np

from jgmm.report.results import Results
from jgmm.report.write import publish
from jgmm.study import curves, spec, summary
from jgmm.study.folder import seal
from jgmm.study.read import CellData


def study(text, **changes):
    """A study from its TOML."""
    return spec.parse(text, source="odd", folder=Path(), default_name="odd").model_copy(update=changes)


def made(cell, runs=16, *, error=None, ok=None, seed=0):
    """A stored cell: chi-square errors about `error` at every checkpoint (its mean), runs that are not `ok` failed."""
    draws = np.random.default_rng(seed)
    samples = np.array([0, *cell.checkpoints]) if cell.checkpoints else np.array([cell.n])
    shape = (runs, len(samples))
    error = (1.0 / np.maximum(samples, 10)) if error is None else error
    sq = (error * draws.chisquare(4, shape) / 4).astype(np.float32)
    good = np.isfinite(sq).all(axis=1) & (np.ones(runs, bool) if ok is None else np.asarray(ok))
    with np.errstate(over="ignore", invalid="ignore"):
        values = {"error_sq": sq, "error_sum": np.sqrt(sq * cell.k), "error_max": np.sqrt(sq)}
    lost = np.zeros(shape, np.float32)
    lost[~good] = 1
    seeded = cell.seeding is not None
    width = cell.k * min(cell.k - 1, cell.d)
    return CellData(
        cell=cell,
        id=cell.identifier(0, False),
        samples=samples,
        values={**values, "lost": lost},
        twin=None,
        ok=good,
        realised_separation=np.full(runs, cell.separation if cell.k > 1 else np.inf),
        largest_mean=np.full(runs, cell.separation),
        components=np.where(good, cell.k, 1).astype(np.float32) if seeded else None,
        displacement=draws.normal(0.1, 0.1, (runs, width)) if cell.displacement else None,
        twin_displacement=None,
        example=None,
    )


def usual(cell, seed):
    return made(cell, 64, seed=seed)


def results(text, kind=usual, **changes):
    """Results of a study whose cells are of this kind."""
    asked = study(text, runs=1, **changes)
    data = [kind(cell, seed) for seed, cell in enumerate(spec.cells(asked))]
    return results_of(asked, data)


def results_of(asked, data):
    """Results of these cells."""
    return Results(study=asked, data=data, summary=[row for item in data for row in summary.summarize(item)])


def curves_of(found):
    """The curves of some results."""
    return curves.curves(found.study, found.data)


def published(folder, text, kind=usual, *, page=None, **changes):
    """A report on cells of this kind, in a new folder."""
    found = results(text, kind, **changes)
    folder.mkdir(exist_ok=True)
    (folder / "study.toml").write_text(seal.text(""))
    return publish(folder, found.study, found.data, [], page=page)


# --- studies ---

LINE = """
[mixture]
k = 2
d = 3
layout = "simplex"
separation = 4.0
[stream]
n = [100, 200, 400]
rate = 0.05
start = 0.1
checkpoints = 1
"""
FLOOR = """
theorem = 1
[mixture]
k = 2
d = 3
layout = "simplex"
separation = [3.0, 4.0, 5.0]
[stream]
n = 400
rate = 0.05
start = 0.1
checkpoints = 1
displacement = true
"""
ON_THE_WAY = LINE.replace("n = [100, 200, 400]", "n = 400").replace("checkpoints = 1", "checkpoints = 5")
MAP = """
[stream]
n = 0
[mixture]
k = 2
d = 3
layout = "simplex"
separation = [4.0, 6.0, 9.0]
[seeding]
n = 300
block = 10
graph_points = [20, 30, 40]
"""
SAME = """
theorem = "none"
[mixture]
k = 2
d = 3
layout = "symmetric"
separation = 4.0
[stream]
n = [100, 400]
start = 0.1
checkpoints = 1
[[part]]
name = "lloyd"
stream = { rate = ["paper", 0.05] }
[[part]]
name = "soft"
algorithm = "soft"
[[part]]
name = "em"
algorithm = "em"
[[part]]
name = "oracle"
algorithm = "oracle"
"""
ONE = LINE.replace("n = [100, 200, 400]", "n = 400")
AVERAGED = ONE + "average = [0.0, 0.25, 0.5]"
STUDIES = {"line": LINE, "floor": FLOOR, "way": ON_THE_WAY, "map": MAP, "same": SAME, "averaged": AVERAGED, "one": ONE}


# --- kinds of cells ---


def none_good(cell, seed):
    return made(cell, seed=seed, ok=np.zeros(16, bool))


def not_finite(cell, seed):
    return made(cell, seed=seed, error=np.inf)


def some_not_finite(cell, seed):
    item = made(cell, 64, seed=seed)
    item.values["error_sq"][::3] = np.inf
    item.values["error_sq"][::5] = np.nan
    return item._replace(ok=np.isfinite(item.values["error_sq"]).all(axis=1))


def zero(cell, seed):
    return made(cell, seed=seed, error=0.0)


def some_zero(cell, seed):
    return made(cell, seed=seed, error=None if seed % 2 else 0.0)


def huge(cell, seed):
    return made(cell, seed=seed, error=1e37)


def few_good(cell, seed):
    return made(cell, seed=seed, ok=np.arange(16) < 1 + seed % 3)


def other_runs(cell, seed):
    return made(cell, 4 + 12 * (seed % 3), seed=seed)


def equal_runs(cell, seed):
    item = made(cell, seed=seed)
    return item._replace(values={name: np.ones_like(values) for name, values in item.values.items()})


def with_twin(cell, seed):
    item = made(cell, seed=seed)
    sq = item.values["error_sq"].astype(float)
    return item._replace(twin={"twin_error_sq": sq, "twin_mean_sq": np.broadcast_to(sq.mean(axis=0), sq.shape)})


def failed_with_twin(cell, seed):
    twin = np.full(none_good(cell, seed).values["error_sq"].shape, np.nan)
    return none_good(cell, seed)._replace(twin={"twin_error_sq": twin, "twin_mean_sq": twin})


def one_run(cell, seed):
    return made(cell, 1, seed=seed)


def two_runs(cell, seed):
    return made(cell, 2, seed=seed)


KINDS = [usual, one_run, two_runs, few_good, none_good, not_finite, some_not_finite, zero, some_zero, huge, other_runs]
KINDS += [equal_runs, with_twin, failed_with_twin]
