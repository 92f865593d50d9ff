"""Laws of cells: none where none was derived, as accurate as they say where there is one, and not all too timid.

`stored` makes a cell as if simulated, on its twin's law; the grid of simulations is benchmarks/calibration.py's.
"""

import math

import calibration
import numpy as np
import pyarrow as pa
import pytest

from jgmm import theory
from jgmm.study import expected as laws
from jgmm.study import read as cells
from jgmm.study import spec, tables
from jgmm.theory import overlap

PAIR = {"k": 2, "d": 10, "layout": "symmetric", "separation": 4.0}
SIMPLEX = {"k": 3, "d": 10, "layout": "simplex", "separation": 4.0}


@pytest.fixture(autouse=True)
def strict():
    """The study layer promotes as NumPy does; the kernels are held to it elsewhere."""


def stored(cell, runs=4):
    """A cell as if simulated: each run on its twin's exact mean."""
    estimates = 1 if cell.algorithm == "em" else cell.k
    scale = max(cell.scales)
    start = estimates * (0.0 if isinstance(cell.start, str) else cell.start * scale) ** 2
    samples = np.array([0, *cell.checkpoints])
    errors = np.tile(np.float64(start), (runs, len(samples)))
    twin = None
    if tables.has_twin(cell):
        each = [tables.twin_law(cell, 1.0 if cell.algorithm == "em" else weight) for weight in cell.weights[:estimates]]
        widths = zip(each, cell.scales, strict=False)
        mean = sum(law.kept * start / estimates + law.noise * width**2 * cell.d for law, width in widths)
        twin = dict.fromkeys(cells.TWINS, np.tile(mean, (runs, 1)))
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


def law_of(algorithm="lloyd", *, beta=1.0, mixture=PAIR, **stream):
    """The law at the end of the one cell that these tables describe."""
    about = {"em": {"beta": beta}} if algorithm in ("em", "soft") else {}
    (cell,) = spec.cells(spec.Study(algorithm=algorithm, theorem="none", mixture=mixture, stream=stream, **about))
    item = stored(cell)
    return laws.law(item, len(item.samples) - 1)


def relative(law):
    return law.accuracy / law.error_sq


def test_far_apart_the_law_is_the_twins_and_exact():
    law = law_of(mixture={**PAIR, "separation": 20.0}, rate=0.02, n=5000, start=0.3)
    settled = 2 * theory.lloyd_error_sq(samples=5000, rate=0.02, weight=0.5, sigma=1, d=10, start_sq=0.09)
    assert law.error_sq == pytest.approx(settled, rel=1e-12)
    assert law.exact
    assert relative(law) == pytest.approx(laws.FLOAT32, rel=0.01)


def test_a_settled_pair_has_the_pair_law_and_is_said_to_be_first_order():
    law = law_of(rate=0.02, n=20_000, start=0.2)
    expected = 2 * float(theory.lloyd_pair_law(4.0, rate=0.02, d=10).error_sq)
    assert law.error_sq == pytest.approx(expected, rel=0.011)  # eta / 2 there, eta / (2 - eta) here
    assert not law.exact


def test_a_settled_em_has_its_mean_shift_squared_and_no_other_change():
    law = law_of("em", mixture={**PAIR, "separation": 2.0, "d": 30}, rate=0.01, n=20_000, start=0.1)
    modes = theory.pair_modes(2.0, beta=1)
    moved = 0.01 / (2 - 0.01) * (modes.parallel.pull + 29 * modes.across.pull) / modes.parallel.relaxation
    assert law.error_sq == pytest.approx(theory.stationary_sq(rate=0.01, sigma=1, d=30) + moved**2, rel=1e-6)
    assert moved**2 > 0.005 * law.error_sq


def test_ems_start_is_kept_along_and_across_at_their_own_speeds():
    """Half way of a start so large that little else is left; parallel is 1/d of a random direction."""
    rate, n, d = 1e-5, 50_000, 10
    law = law_of("em", mixture={**PAIR, "separation": 2.0}, rate=rate, n=n, start=0.4)
    modes = theory.pair_modes(2.0, beta=1)
    speeds = np.array([modes.parallel.relaxation, *[modes.across.relaxation] * (d - 1)])
    left = np.exp(-2 * rate * n * speeds)
    expected = np.sum(left * 0.16 / d + (1 - left) * rate / 2)
    assert law.error_sq == pytest.approx(expected, rel=1e-3)


def test_the_labelled_oracle_is_the_mean_of_each_components_own_samples():
    mixture = {**SIMPLEX, "weights": [0.6, 0.3, 0.1]}
    (cell,) = spec.cells(spec.Study(mixture=mixture, stream={"rate": 0.02, "n": 400, "start": 0.2}))
    rng = np.random.default_rng(2)
    counts = rng.multinomial(400, [0.6, 0.3, 0.1], size=20_000)
    means = 10 * (1 / counts).mean(axis=0)  # sigma^2 d E(1/n_i), known to 0.1 %
    assert laws.oracle(stored(cell), 400) == pytest.approx(means.sum(), rel=5e-3)
    assert laws.oracle(stored(cell), 100) is None  # a component has ten samples only


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        (0.008, {"rate": 0.02, "n": 20_000, "start": 0.2}),
        (0.03, {"rate": 0.02, "n": 20_000, "start": 0.1, "mixture": {**PAIR, "separation": 3.0}}),
        (0.008, {"algorithm": "em", "rate": 0.02, "n": 20_000, "start": 0.2}),
        (0.01, {"algorithm": "em", "beta": 2.0, "rate": 0.02, "n": 20_000, "start": 0.2}),
        (0.001, {"algorithm": "soft", "rate": "paper", "n": 16_384, "start": 0.15}),
        (0.03, {"rate": 0.002, "n": 50_000, "start": 0.1, "mixture": {**SIMPLEX, "k": 5, "separation": 5.0}}),
        (0.01, {"rate": {"scale": 4.0, "power": 1.0, "shift": 20.0}, "n": 16_384, "start": 0.15}),
        (0.02, {"rate": "paper", "average": 0.5, "n": 16_384, "start": 0.15}),
    ],
)
def test_laws_of_the_normal_regime_are_sharp(limit, told):
    assert relative(law_of(**told)) < limit


@pytest.mark.parametrize(
    ("preset", "parts"), [("theorem1", "N k d sigma"), ("theorem7", "em lloyd"), ("rates", "soft em averaged")]
)
def test_presets_keep_their_laws(preset, parts):
    mine = [cell for cell in spec.cells(spec.load(preset)) if cell.part in parts.split()]
    items = [stored(cell) for cell in mine if cell.n < 50_000 and cell.start != "seeding"]
    assert len(items) > 4
    assert all(laws.law(item, len(item.samples) - 1).error_sq is not None for item in items)


@pytest.mark.parametrize(
    "told",
    [
        {"mixture": {**PAIR, "d": 100, "separation": 1.0}, "rate": 0.08},  # the boundary is tilted: 11.5 for 49
        {"mixture": {**PAIR, "d": 100, "separation": 1.0}, "rate": 0.02},
        {"algorithm": "em", "mixture": {**PAIR, "d": 100, "separation": 2.0}, "rate": 0.03},
        {"mixture": {**SIMPLEX, "k": 10, "d": 100, "separation": 8.0}, "rate": 0.6},
        {"mixture": {**PAIR, "d": 20, "separation": 6.0, "weights": [0.98, 0.02]}, "rate": 0.2},  # 34 for 4.4
        {"algorithm": "soft", "mixture": {**SIMPLEX, "k": 4, "d": 4, "separation": 1.0}, "rate": 0.04, "n": 400},
        {"algorithm": "soft", "beta": 0.2, "mixture": {**SIMPLEX, "separation": 6.0}, "rate": 0.05},
        # Both means fall to the middle.
        {"algorithm": "em", "beta": 0.01, "mixture": {**PAIR, "separation": 14.0}, "rate": 0.02},
        {"algorithm": "em", "beta": 1e-30, "mixture": {**PAIR, "separation": 14.0}, "rate": 0.02},
        {"algorithm": "soft", "mixture": {**SIMPLEX, "scales": [0.01, 1.0, 1.0]}, "rate": 0.02},
        {"mixture": {**PAIR, "weights": [1.0, 0.0]}, "rate": 0.02},  # an idle centre takes the other's samples
        {"mixture": PAIR, "rate": 0.02, "start": 1.1},
        {"mixture": PAIR, "rate": {"adam": 0.01}},
    ],
)
def test_no_law_where_none_was_derived_or_none_is_accurate(told):
    assert law_of(**{"n": 3000, "start": 0.2, **told}) == laws.UNKNOWN


def test_a_blunt_posterior_has_a_law_once_its_means_stay_apart():
    """beta C^2 decides, not C: the fixed point of beta = .3 is 9e-4 inside the mean at C = 14."""
    law = law_of("em", beta=0.3, mixture={**PAIR, "separation": 14.0}, rate=0.02, n=3000, start=0.2)
    assert relative(law) < 0.01


@pytest.mark.parametrize(
    "mixture", [{"sigma": 1e-30}, {"sigma": 1e30}, {"separation": 1e20}, {"separation": 1e8}], ids=str
)
def test_no_law_is_an_absurd_number(mixture):
    """Squares that leave float32, and samples whose rounding is as large as sigma."""
    for algorithm in ("lloyd", "em", "soft"):
        assert law_of(algorithm, mixture={**PAIR, **mixture}, rate=0.02, n=3000, start=0.2) == laws.UNKNOWN


def test_a_run_that_has_lost_a_centre_at_the_start_leaves_no_law():
    (cell,) = spec.cells(spec.Study(mixture=PAIR, stream={"rate": 0.02, "n": 3000, "start": 0.2}))
    item = stored(cell)
    item.values["lost"][1, 0] = 1
    assert laws.law(item, len(item.samples) - 1) == laws.UNKNOWN


def test_accuracy_grows_with_the_noise_that_tilts_the_boundary():
    small, large = (law_of(mixture={**PAIR, "d": d}, rate=0.02, n=3000, start=0.1) for d in (3, 60))
    assert relative(large) > 2 * relative(small)


def test_the_separation_that_samples_see_is_that_of_noisy_centres():
    """Misassigned samples of a noisy pair, counted, beside Q(C_eff / 2)."""
    rng, d, spread, runs = np.random.default_rng(4), 40, 0.08, 60_000
    means = np.zeros((2, d))
    means[:, 0] = 2.0, -2.0
    centres = means[None] + np.sqrt(spread) * rng.standard_normal((runs, 2, d), np.float32)
    x = means[0] + rng.standard_normal((runs, d), np.float32)
    distances = np.sum((x[:, None] - centres) ** 2, axis=2)
    found = np.mean(distances[:, 0] > distances[:, 1])
    (cell,) = spec.cells(spec.Study(mixture={**PAIR, "d": d}, stream={"rate": 0.1, "start": 0.1}))
    expected = 0.5 * math.erfc(overlap.seen(cell, 4.0, spread) / 2 / math.sqrt(2))
    assert found == pytest.approx(expected, rel=0.06)  # 2,000 of them
    assert found > 1.3 * 0.5 * math.erfc(2 / math.sqrt(2))


def seeding_law(k, separation, **sizes):
    """The law of Algorithm 2 for a cell whose runs all had the right components."""
    mixture = {"k": k, "d": 10, "layout": "simplex", "separation": separation}
    (cell,) = spec.cells(spec.Study(stream={"n": 0}, mixture=mixture, seeding={"n": 30_000, **sizes}))
    means = np.linalg.qr(np.random.default_rng(0).standard_normal((10, k)))[0].T * separation / np.sqrt(2)
    item = stored(cell.model_copy(update={"start": "seeding"}))
    example = pa.table({"kind": ["mean"] * k, **{f"x{j}": means[:, j] for j in range(10)}})
    return laws.law(item._replace(example=example), 0)


def test_the_law_of_the_seeding_is_told_in_its_range_only_and_as_first_order():
    inside = seeding_law(5, 16.0, block=1000, graph_points=400)
    means = np.eye(5, 10) * 16 / np.sqrt(2)
    expected = theory.seeding_error_sq(means, np.full(5, 0.2), sigma=1, block=1000, graph_points=400).sum()
    assert inside.error_sq == pytest.approx(expected, rel=1e-9)
    assert 0.015 < relative(inside) < 0.03  # (2/B + 1/k0)/w is .0225
    assert not inside.exact


@pytest.mark.parametrize(
    ("k", "separation", "sizes"),
    [
        (8, 16.0, {"block": 23, "graph_points": 166}),  # blocks of d ln d: 10.4 for 7.8
        (2, 3.0, {"block": 3000, "graph_points": 640}),  # components found as one and a piece of another: 4.4 for .016
        (5, 6.0, {"block": 3000, "graph_points": 640}),
        (5, 16.0, {"block": 1000, "graph_points": 20}),
        (5, 16.0, {"block": 29_000, "graph_points": 640}),  # one block alone: the start is not forgotten
        (5, 16.0, {"block": 1000, "graph_points": 400, "method": "oja"}),
    ],
)
def test_the_seeding_has_no_law_outside_its_range(k, separation, sizes):
    assert seeding_law(k, separation, **sizes) == laws.UNKNOWN


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
