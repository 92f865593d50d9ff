"""What a floating-point format can hold of a mixture, and that what is beyond it is refused in a line."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

import jgmm
from jgmm import mixture, reach
from jgmm.algorithms.lloyd import LLOYD
from jgmm.start import check_power, offset_start
from jgmm.study import preflight, spec

KEY = jax.random.key(5)


def pair(far, scales=1.0):
    """Two means four apart in four dimensions, about a place that far from the origin."""
    away = far * np.array([1.0, 0.9, 0.8, 0.7]) / np.linalg.norm([1.0, 0.9, 0.8, 0.7])
    return mixture.given(np.array([[2.0, 0, 0, 0], [-2.0, 0, 0, 0]]) + away, scales=scales)


def test_the_limit_of_a_mean_is_a_32nd_of_sigma_over_the_rounding():
    limit = 2.0**-5 / np.finfo(np.float32).eps
    assert limit == 2**18
    pair(0.99 * limit)
    with pytest.raises(ValueError, match=r"means up to 2.6\de\+05 standard deviations.*resolves 2.6e\+05.*float64"):
        pair(1.01 * limit)


def test_float64_reaches_further(x64):
    pair(1e12)
    mixture.simplex(2, 3, separation=1e9, scales=1e-30)
    with pytest.raises(ValueError, match=r"float64 resolves 1.4e\+14: expected means nearer to it$"):
        pair(1e15)
    with pytest.raises(ValueError, match="float64 holds the squares of"):
        mixture.simplex(2, 3, separation=1.0, scales=1e-150)


def run(mix):
    runs = jgmm.batch(KEY, range(256), mix)
    start = offset_start(KEY, runs, 0.5)
    return jgmm.run(runs, LLOYD, start, steps=0.05, checkpoints=[400], twin=True).twin_sq[-1]


def test_means_within_the_limit_cost_no_accuracy_and_means_beyond_it_do(monkeypatch):
    near, within = run(pair(0.0)), run(pair(0.9 * 2**18))
    change = (within - near) / near.mean()  # on the same streams: 5 standard errors are 1 % here
    assert abs(change.mean()) < 5 * change.std() / np.sqrt(len(change)) < 1e-2
    monkeypatch.setattr(reach, "RESOLVED", np.inf)
    monkeypatch.setattr(reach, "START", np.inf)
    change = (run(pair(2.0**25)) - near) / near.mean()  # roundings of 2 sigma in each coordinate
    assert abs(change.mean()) > 5 * change.std() / np.sqrt(len(change))


def test_a_start_is_refused_where_rounding_would_change_it():
    runs = jgmm.batch(KEY, range(64), pair(1e5))
    lost = (np.spacing(np.abs(np.asarray(runs.mixture.means)[:, :, 0])) ** 2).sum(axis=1).max() / 12
    least = np.sqrt(lost / reach.START)
    start = offset_start(KEY, runs, 1.01 * least)
    moved = ((start - runs.mixture.means).astype(float) ** 2).sum(axis=1)
    assert_allclose(moved.mean(), (1.01 * least) ** 2, rtol=3 * reach.START)  # 1 %, and its sampling error over 128
    with pytest.raises(ValueError, match=r"offset is .* rounded by .* expected 0, at least"):
        offset_start(KEY, runs, 0.99 * least)
    offset_start(KEY, runs, 0.0)


def test_moves_that_a_start_swallows_are_refused():
    runs = jgmm.batch(KEY, range(4), mixture.simplex(2, 2, separation=4.0))
    far, truth = (offset_start(KEY, runs, offset) for offset in (0.5, 0.0))
    with pytest.raises(ValueError, match="rate is 1e-09: moves of that are lost in float32"):
        jgmm.run(runs, LLOYD, far, steps=1e-9, checkpoints=[5])
    jgmm.run(runs, LLOYD, truth, steps=1e-9, checkpoints=[5])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mixture.simplex(2, 2, separation=4.0, scales=1e-30), "scales reach down to 1e-30, float32 holds"),
        (lambda: mixture.simplex(2, 2, separation=4.0, scales=1e20), r"scales reach 1e\+20"),
        (lambda: mixture.simplex(2, 2, separation=1e20), r"separation is 1e\+20: means"),
        (lambda: mixture.symmetric(2, separation=1e9), r"separation is 1e\+09: means up to 5e\+08 standard"),
        (lambda: mixture.box(jax.random.split(KEY, 2), 2, 2, side=1e4, scales=1e-4), r"side is 10000: .* 1.41e\+08"),
        (lambda: mixture.symmetric_box(jax.random.split(KEY, 2), 2, side=1e30), r"side is 1e\+30"),
        (lambda: jgmm.batch(KEY, [1], mixture.Mixture(*(np.float32([[x]]) for x in (1e9,)), *[np.ones(1, "f")] * 2)),
         "mixture.means is .* standard deviations"),
        (lambda: check_power(mixture.symmetric(4, separation=4.0, scales=1e8), block=1000), "block is 1000"),
        (lambda: check_power(mixture.symmetric(4, separation=4.0, scales=1e-10), block=10), "block is 10"),
        (lambda: mixture.symmetric(4, separation=1e-9, scales=1e308), "scales reach 1e.308"),  # and no warning
    ],
)  # fmt: skip
def test_what_float32_cannot_hold_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=f"{message}.*float64"):
        call()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"mixture": {"layout": "box", "sigma": 1e-4}}, "part 'main': side is 10000"),
        ({"mixture": {"sigma": 1e-30}}, "part 'main': scales reach down to 1e-30"),
        ({"mixture": {"sigma": [1.0, 1e20]}}, "part 'main': scales reach 1e"),
        ({"mixture": {"separation": 1e9}}, "part 'main': separation is 1e"),
        ({"mixture": {"layout": "box", "side": 1e5, "d": 2}, "stream": {"start": 1e-3}}, "part 'main': start is 0.001"),
        ({"stream": {"start": 0.5, "rate": 1e-9}}, "part 'main': rate is 1e-09"),
        ({"mixture": {"sigma": 1e-10, "d": 4}, "stream": {"start": "seeding"}}, "part 'main': block is"),
    ],
)
def test_a_study_beyond_float32_is_refused_before_it_runs_and_float64_takes_it(table, message):
    stream = {"n": 1000, "start": "truth", **table.get("stream", {})}
    study = spec.Study.model_validate({"runs": 4, **table, "stream": stream})
    with pytest.raises(ValueError, match=f"{message}.*x64 = true"):
        preflight.check_mixtures(study, spec.cells(study))
    wide = study.model_copy(update={"x64": True})
    preflight.check_mixtures(wide, spec.cells(wide))
