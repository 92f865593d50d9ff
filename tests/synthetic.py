"""Cells as if stored, whose errors have means that the test knows."""

import math

import numpy as np
from draws import correlated_runs

from jgmm.study import spec, verdicts
from jgmm.study.read import CellData

SIZES = np.array([4096.0, 16384.0, 65536.0, 262144.0, 1048576.0])


def cell_data(cell, last, displacement=None):
    """A cell as if stored: squared errors of 1 at the start, and these (runs,) at the end."""
    runs = len(last)
    errors = np.stack([np.ones(runs), last], axis=1)
    return CellData(
        cell=cell,
        id=cell.identifier(0, False),
        samples=np.array([0, cell.n]),
        values={
            "error_sq": errors,
            "error_sum": errors,
            "error_max": np.sqrt(errors),
            "lost": np.zeros_like(errors),
        },
        twin=None,
        ok=np.ones(runs, bool),
        realised_separation=np.full(runs, cell.separation),
        largest_mean=np.full(runs, cell.separation),
        components=None,
        displacement=displacement,
        twin_displacement=None,
        example=None,
    )


def stored(study, means, *, runs=256, seed=0, cv=0.2, displacement=None):
    """The cells of a study, whose last squared errors are gamma with the mean `means(cell)`.

    displacement: (rng, cell, runs) -> the displacements of the centres, (runs, p).
    """
    rng = np.random.default_rng(seed)
    cells = spec.cells(study)
    values = correlated_runs(rng, np.array([means(cell) for cell in cells]), runs, cv)
    return [
        cell_data(cell, last, displacement(rng, cell, runs) if displacement else None)
        for cell, last in zip(cells, values, strict=True)
    ]


def starts(study, share_within, *, runs=256):
    """The cells of a study of starts alone, of which the share `share_within(cell)` lies within half of C sigma/20."""
    rng = np.random.default_rng(0)
    data = []
    for item in stored(study, lambda cell: 1.0, runs=runs):
        limit = item.cell.separation / 20
        within = rng.random(runs) < share_within(item.cell)
        item.values["error_max"][:, -1] = np.where(within, 0.5 * limit, 3 * limit)
        data.append(item._replace(values={name: array[:, -1:] for name, array in item.values.items()}))
    return data


def spoiled(study, means, good):
    """The cells of a study of whose runs the first `good` are good, and the others not finite."""
    data = []
    for item in stored(study, means):
        values = {name: array.copy() for name, array in item.values.items()}
        values["error_sq"][good:, -1] = np.inf
        data.append(item._replace(values=values, ok=np.arange(len(item.ok)) < good))
    return data


def verdict_of(study, means, **options):
    """The one verdict of a study at its first look."""
    return verdict_on(study, stored(study, means, **options))


def verdict_on(study, data):
    """The one verdict on these cells at the first look."""
    (verdict,) = verdicts.verdicts(study, data, look=1)
    return verdict


def variance(cell):
    """How the variance term falls with N, but for constants."""
    return math.log(3 * cell.n) * cell.d / cell.n


def wide_grid(k=5, start=0.5, d=20, **stream):
    """A study of Theorem 1 over SIZES, well separated."""
    table = {"mixture": {"k": k, "d": d, "layout": "simplex", "separation": 12.0}}
    table["stream"] = {"n": [int(n) for n in SIZES], "start": start, "checkpoints": 1, **stream}
    return spec.Study(**table, theorem=1)


def stream_study(theorem=2, d=10, separation=8.0, k=2, **stream):
    """A study of three N, near the truth."""
    sizes = {"n": [10_000, 20_000, 40_000], "start": 0.1, "checkpoints": 1}
    table = {"mixture": {"k": k, "d": d, "layout": "simplex", "separation": separation}}
    return spec.Study(**table, stream={**sizes, **stream}, theorem=theorem)


def floor_study(rate=1e-3, separation=(3.0, 4.0, 5.0, 6.0)):
    """A study of floors over the separation."""
    mixture = {"k": 2, "d": 2, "layout": "simplex", "separation": list(separation)}
    stream = {"n": 10_000, "start": "truth", "rate": rate, "displacement": True, "checkpoints": 1}
    return spec.Study(mixture=mixture, stream=stream, theorem=1)


def start_study(k=5, d=10, **seeding):
    """A study of starts by Algorithm 2 alone."""
    table = {"mixture": {"k": k, "d": d, "layout": "simplex", "separation": 16.0}}
    return spec.Study(stream={"n": 0}, **table, seeding={"n": 10_000, "graph_points": 100, **seeding})


def displaced(divisor, noise=0.05):
    """Displacements whose squared mean is exp(-C^2/divisor), with noise relative to their length."""

    def draw(rng, cell, runs):
        size = math.exp(-(cell.separation**2) / divisor / 2)
        return np.array([size, 0.0]) + noise * size * rng.standard_normal((runs, 2))

    return draw
