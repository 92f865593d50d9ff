"""What a study's cells tell of themselves to laws, and laws beside simulated cells.

`stored` makes a cell as if simulated, on its twin's law; the grid of simulations is benchmarks/calibration.py's.
"""

import math

import calibration
import numpy as np
import pyarrow as pa
import pytest

from jgmm import rates, theory
from jgmm.study import expected as laws
from jgmm.study import read as cells
from jgmm.study import spec
from jgmm.theory import labelled
from jgmm.theory.situation import StepLaw

PAIR = {"k": 2, "d": 10, "layout": "symmetric", "separation": 4.0}
SIMPLEX = {"k": 3, "d": 10, "layout": "simplex", "separation": 4.0}


@pytest.fixture(autouse=True)
def strict():
    """The study layer promotes as NumPy does; the kernels are held to it elsewhere."""


def stored(cell, runs=4):
    """A cell as if simulated: each run on its twin's exact mean."""
    estimates = cell.estimates
    scale = max(cell.scales)
    start = estimates * (0.0 if isinstance(cell.start, str) else cell.start * scale) ** 2
    samples = np.array([0, *cell.checkpoints])
    errors = np.tile(np.float64(start), (runs, len(samples)))
    twin = None
    if cell.has_twin:
        each, component = np.full((estimates, 1), start / estimates), np.arange(estimates)[:, None]
        step = cell.step_law
        mean = cell.record.twin_law(step, samples, cell.weights, cell.scales, cell.d, each, component)
        twin = dict.fromkeys(cells.TWINS, np.tile(mean[:, 0], (runs, 1)))
    separation = np.full(runs, cell.separation)
    return cells.CellData(
        cell=cell,
        id="synthetic",
        samples=samples,
        values={**dict.fromkeys(cells.QUANTITIES, errors), "lost": np.zeros(errors.shape)},
        twin=twin,
        ok=np.ones(runs, bool),
        realised_separation=separation,
        largest_mean=separation * scale,
        components=None,
        displacement=None,
        twin_displacement=None,
        example=None,
    )


def cell_of(algorithm="lloyd", *, beta=1.0, mixture=PAIR, seeding=None, **stream):
    """The one cell that these tables describe."""
    about = {"em": {"beta": beta}} if algorithm in ("em", "soft") else {}
    if seeding:
        about["seeding"] = seeding
    (cell,) = spec.cells(spec.Study(algorithm=algorithm, theorem="none", mixture=mixture, stream=stream, **about))
    return cell


def law_of(cell):
    """The law at the end of a cell as if simulated."""
    item = stored(cell)
    return laws.law(item, len(item.samples) - 1)


def test_a_cell_tells_its_situation():
    cell = cell_of("soft", beta=3.0, mixture={**SIMPLEX, "sigma": 2.0}, rate=0.02, n=3000, start=0.2, average=0.5)
    told = laws.situation(stored(cell), 1000)
    assert (told.k, told.d, told.estimates, told.scales) == (3, 10, 3, (2.0, 2.0, 2.0))
    assert (told.separation, told.widest, told.common_separation, told.largest_mean) == (4.0, 4.0, 4.0, 8.0)
    assert (told.sharpness, told.step) == (3.0, StepLaw("constant", (0.02,)))
    assert (told.samples, told.n, told.burn) == (1000, 3000, 1500)
    assert told.start_sq == pytest.approx(3 * 0.4**2)
    assert told.start_reach == pytest.approx(0.2)
    assert told.random_start


@pytest.mark.parametrize(
    ("told", "sharpness", "step"),
    [
        ({"rate": "1/n"}, math.inf, StepLaw("1/n", (1,))),
        ({"algorithm": "oracle"}, None, StepLaw("1/n", (0,))),
        ({"rate": {"scale": 4.0, "power": 1.0, "shift": 20.0}}, math.inf, StepLaw("polynomial", (4.0, 1.0, 20.0))),
        ({"rate": {"adam": 0.01}}, math.inf, None),
        ({"algorithm": "em", "rate": 0.02}, 1.0, StepLaw("constant", (0.02,))),
    ],
    ids=str,
)
def test_a_cell_tells_its_updates_and_its_steps(told, sharpness, step):
    about = laws.situation(stored(cell_of(**{"n": 3000, "start": 0.2, **told})), 3000)
    assert (about.sharpness, about.step) == (sharpness, step)
    assert about.tied == (told.get("algorithm") == "em")


def test_means_that_differ_between_runs_have_no_common_separation():
    box = {"k": 2, "d": 10, "layout": "box", "separation": 4.0}
    assert laws.situation(stored(cell_of(mixture=box, rate=0.02, n=3000, start=0.2)), 3000).common_separation is None


def test_the_law_of_a_cell_is_that_of_its_twin_and_its_overlap():
    law = law_of(cell_of(rate=0.02, n=20_000, start=0.2))
    expected = 2 * float(theory.lloyd_pair_law(4.0, rate=0.02, d=10).error_sq)
    assert law.error_sq == pytest.approx(expected, rel=0.011)  # eta / 2 there, eta / (2 - eta) here


def test_the_law_of_an_average_needs_no_twin():
    law = law_of(cell_of(mixture={**PAIR, "separation": 12.0}, rate="paper", average=0.5, n=16_384, start=0.15))
    alone = labelled.averaged(16_384, rate=rates.paper(16_384, 2), weight=0.5, burn=8192)
    assert law.error_sq == pytest.approx(2 * (alone.kept * 0.15**2 + alone.noise * 10), rel=1e-4)


def test_adam_has_no_law():
    assert law_of(cell_of(rate={"adam": 0.01}, n=3000, start=0.2)) == laws.UNKNOWN


def test_a_run_that_has_lost_a_centre_at_the_start_leaves_no_law():
    item = stored(cell_of(rate=0.02, n=3000, start=0.2))
    item.values["lost"][1, 0] = 1
    assert laws.law(item, len(item.samples) - 1) == laws.UNKNOWN


def test_a_cell_without_good_runs_has_no_law_and_keeps_its_floor():
    item = stored(cell_of(rate=0.02, n=3000, start=0.2))
    bad = item._replace(ok=np.zeros(len(item.ok), bool))
    assert laws.law(bad, 0) == laws.UNKNOWN
    assert laws.floor(bad) == laws.floor(item) > 0


def test_the_bound_is_that_of_the_theorem_at_the_horizon():
    mixture = {**SIMPLEX, "sigma": 2.0}
    (cell,) = spec.cells(spec.Study(theorem=1, mixture=mixture, stream={"rate": "paper", "n": 3000, "start": 0.2}))
    item = stored(cell)
    asked = {"n": 3000, "k": 3, "d": 10, "sigma": 2.0, "separation": 4.0, "mean_norm": 8.0}
    assert laws.bound(item, 3000) == pytest.approx(theory.theorem1_bound(**asked))
    assert laws.bound(item, 1000) is None


def started_law(**sizes):
    """The law of Algorithm 2 for a cell whose runs all had the right components."""
    mixture = {"k": 5, "d": 10, "layout": "simplex", "separation": 16.0}
    sizes = {"n": 30_000, "block": 1000, "graph_points": 400, **sizes}
    cell = cell_of(mixture=mixture, seeding=sizes, n=0)
    means = np.eye(5, 10) * 16 / np.sqrt(2)
    item = stored(cell)
    example = pa.table({"kind": ["mean"] * 5, **{f"x{j}": means[:, j] for j in range(10)}})
    return laws.law(item._replace(example=example), 0)


def test_the_law_of_a_start_is_that_of_algorithm_2_at_its_sizes():
    means = np.eye(5, 10) * 16 / np.sqrt(2)
    expected = theory.seeding_error_sq(means, np.full(5, 0.2), sigma=1, block=1000, graph_points=400).sum()
    assert started_law().error_sq == pytest.approx(expected, rel=1e-9)
    assert started_law(method="oja") == laws.UNKNOWN


@pytest.mark.parametrize(
    ("preset", "parts"), [("theorem1", "N k d sigma"), ("theorem7", "em lloyd"), ("rates", "soft em averaged")]
)
def test_presets_keep_their_laws(preset, parts):
    mine = [cell for cell in spec.cells(spec.load(preset)) if cell.part in parts.split()]
    items = [stored(cell) for cell in mine if cell.n < 50_000 and cell.start != "seeding"]
    assert len(items) > 4
    assert all(laws.law(item, len(item.samples) - 1).error_sq is not None for item in items)


def rows_of(items):
    rows = [row for item in items for row in calibration.compare(item)]
    return [row for row in rows if "law" in row]


def test_sharp_laws_are_as_accurate_as_they_say(tmp_path):
    """Every law is held to its accuracy and 4 standard errors, which are far below what overlap does."""
    near = {"k": 2, "d": 4, "layout": "symmetric", "separation": [2.0, 3.0, 4.0]}
    parts = [
        calibration.part("em", "em", near, 0.02, weight=1, beta=[1.0, 2.0], start=0.1),
        calibration.part("soft", "soft", near, 0.02, beta=[1.0, 3.0], start=0.1),
    ]
    rows = rows_of(calibration.simulate(tmp_path, 1024, parts))
    assert len(rows) > 20
    assert max(row["beyond"] for row in rows) < calibration.MOST
    settled = {(row["beta"], row["separation"]): row for row in rows if row["samples"] == 500}
    sharp = settled[2.0, 2.0]
    without_overlap = theory.stationary_sq(rate=0.02, sigma=1, d=4)
    assert sharp["mean"] - without_overlap > 10 * sharp["standard_error"] + sharp["accuracy"]


@pytest.mark.long
def test_laws_are_as_accurate_as_they_say_over_a_larger_grid(tmp_path):
    names = ("lloyd-four-4", "soft-pair-4", "lloyd-unequal-4", "averaged", "falling", "count", "blunt", "slow")
    parts = [part for part in calibration.grid() if part["name"].startswith(names)]
    rows = rows_of(calibration.simulate(tmp_path, 512, parts))
    assert len(rows) > 60
    assert max(row["beyond"] for row in rows) < calibration.MOST
