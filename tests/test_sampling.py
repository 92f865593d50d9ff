"""Covariances, labels that stay and means that move: by hand, their laws, and the same on every back end."""

import back_ends
import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

import jgmm
from jgmm import covariance, mixture, noise, sampling
from jgmm.contract import Kernel
from jgmm.engine import cpu, sampler
from jgmm.engine.runs import batch
from jgmm.sampling import Sampling
from jgmm.start import from_data, offset_start, seed

KEY = jax.random.key(3)
ALL = Sampling(covariance.low_rank(5, rank=2, factor=3.0), dwell=0.8, drift=0.1)


def kept(state, sample, params):
    """The last sample, and its label."""
    del params, state
    return sample.x[None], sample.label


def stream_of(how, mixed, runs, *, open_stream=cpu.open, family=noise.NOISES["gaussian"]):
    """A stream whose state is what is carried, and the last sample with its label."""
    many = batch(KEY, range(runs), mixed)
    how = sampling.check(how, many.mixture.means.shape[1], runs, noise.widths(family, runs))
    of = sampler.opened(how, many.mixture, many.words, noise.told(family, runs))
    kernel = sampler.before(Kernel(kept, pair=family.pair, draws=family.draws))
    state = of.carried, (np.zeros_like(of.source.means), np.zeros(runs, np.int32))
    return open_stream(kernel, many.words, state, (of.given, {}), of.source)


def samples(how, mixed, *, runs, count, **options):
    """Of a stream: (d, count, runs), and the labels (count, runs)."""
    stream, found = stream_of(how, mixed, runs, **options), []
    for _ in range(count):
        stream.advance(1)
        found.append(jax.tree.map(np.array, stream.state()[1]))
    x, labels = zip(*found, strict=True)
    return np.stack([each[0] for each in x], axis=1), np.stack(labels)


# --- by hand ---


def test_a_ladder_has_the_ratio_and_a_mean_square_of_one():
    m = covariance.ladder(4, ratio=8.0).spread
    assert_allclose(m[1:] / m[:-1], 2, rtol=1e-6)
    assert np.mean(m.astype(float) ** 2) == pytest.approx(1, rel=1e-6)
    assert covariance.ladder(4, ratio=8.0).variance == pytest.approx(4, rel=1e-6)
    assert_allclose(covariance.ladder(1, ratio=8.0).spread, [1])


@pytest.mark.parametrize(("d", "rank"), [(2, 1), (5, 2), (7, 7)])
def test_a_low_rank_is_wide_along_its_directions_and_a_sphere_across(d, rank):
    low = covariance.low_rank(d, rank=rank, factor=3.0)
    assert_allclose(low.directions @ low.directions.T, np.eye(rank), atol=1e-6)
    sizes = np.sqrt(np.linalg.eigvalsh(low.matrix @ low.matrix.T))
    assert_allclose(sizes, [1.0] * (d - rank) + [3.0] * rank, rtol=1e-6)
    assert low.variance == pytest.approx(np.trace(low.matrix @ low.matrix.T), rel=1e-6)


def test_a_sample_is_its_mean_and_its_scale_times_a_of_the_noise():
    mixed = mixture.given(np.arange(10.0).reshape(2, 5), weights=[0.3, 0.7], scales=[1.0, 2.0])
    runs, count = 6, 5
    many = batch(KEY, range(runs), mixed)
    still = mixture.Mixture(np.zeros((1, 5, runs), "f"), np.ones((1, runs), "f"), np.ones((1, runs), "f"))
    z = cpu.draw(many.words, still, count)[1].astype(float)
    for of in (ALL.covariance, covariance.ladder(5, ratio=4.0), covariance.spread([0.5, 1, 2, 3, 4])):
        x, labels = samples(Sampling(of), mixed, runs=runs, count=count)
        means, scales = np.asarray(mixed.means), np.asarray(mixed.scales)
        expected = means[labels].transpose(2, 0, 1) + scales[labels] * np.einsum("cd,dtr->ctr", of.matrix, z)
        assert_allclose(x, expected, rtol=1e-5, atol=1e-5)


def test_without_more_samples_are_those_that_a_back_end_draws():
    mixed = mixture.given(np.arange(6.0).reshape(2, 3), weights=[0.3, 0.7], scales=[1.0, 2.0])
    x, _ = samples(Sampling(covariance.spread([1.0, 1.0, 1.0])), mixed, runs=9, count=6)
    assert_allclose(
        x, cpu.draw(batch(KEY, range(9), mixed).words, batch(KEY, range(9), mixed).mixture, 6)[1], rtol=1e-6
    )


def test_the_means_move_by_the_speed_a_sample():
    mixed = mixture.given([[0.0, 0.0], [30.0, 0.0]], scales=[1.0, 2.0])
    plain, same = samples(Sampling(covariance.spread([1.0, 1.0])), mixed, runs=4, count=3)
    moved, labels = samples(Sampling(drift=0.5), mixed, runs=4, count=3)
    assert_array_equal(labels, same)
    steps = np.arange(1, 4) * 0.5 * 2.0 / np.sqrt(2)  # of the larger scale, along (1, -1)
    assert_allclose(moved - plain, np.stack([steps, -steps])[..., None] * np.ones(4), atol=1e-5)


OUTLIERS = noise.of("outliers", {"share": 0.1, "factor": 4.0})
NARROW = 1 / np.sqrt(0.9 + 0.1 * 4**2)  # of the widths whose mean square is 1


def test_a_sample_with_outliers_is_narrow_or_wide_as_a_whole_and_else_as_without():
    runs, count = 40, 50
    mixed = mixture.given(np.zeros((1, 3)))
    still = mixture.Mixture(np.zeros((1, 3, runs), "f"), np.ones((1, runs), "f"), np.ones((1, runs), "f"))
    z = cpu.draw(batch(KEY, range(runs), mixed).words, still, count)[1]
    for of in (None, ALL.covariance._replace(directions=ALL.covariance.directions[:, :3], spread=np.ones(3, "f"))):
        plain = z if of is None else np.einsum("cd,dtr->ctr", of.matrix, z)
        width = samples(Sampling(of), mixed, runs=runs, count=count, family=OUTLIERS)[0] / plain
        assert_allclose(width, np.broadcast_to(width[:1], width.shape), rtol=1e-4)
        wide = width[0] > 2 * NARROW
        assert_allclose(width[0], np.where(wide, 4 * NARROW, NARROW), rtol=1e-4)
        assert 0.05 < wide.mean() < 0.15


# --- laws ---


def test_the_covariance_of_many_samples_is_that_of_the_law():
    family = noise.NOISES["laplace"]
    for of in (covariance.low_rank(4, rank=2, factor=3.0), covariance.ladder(4, ratio=5.0)):
        x, _ = samples(Sampling(of), mixture.given(np.zeros((1, 4))), runs=2048, count=50, family=family)
        x = x.reshape(4, -1).astype(float)
        products = x[:, None] * x[None]
        error = products.std(axis=-1) / np.sqrt(x.shape[1])
        assert (abs(products.mean(axis=-1) - of.matrix @ of.matrix.T) < 4 * error).all()
        assert (abs(x.mean(axis=1)) < 4 * x.std(axis=1) / np.sqrt(x.shape[1])).all()


def test_outliers_have_the_moments_and_the_distribution_of_their_law():
    x, labels = samples(
        Sampling(), mixture.given(np.zeros((2, 2)), weights=[0.3, 0.7]), runs=8192, count=64, family=OUTLIERS
    )
    x = x.reshape(2, -1).astype(float)
    fourth = 3 * (0.9 + 0.1 * 4**4) * NARROW**4
    for value, moment in (
        *((x[c] ** power, moment) for c in (0, 1) for power, moment in ((1, 0), (2, 1), (3, 0), (4, fourth))),
        (x[0] * x[1], 0),
        ((x[0] * x[1]) ** 2, fourth / 3),  # independent coordinates would have 1
        (labels.ravel() == 1, 0.7),
        ((labels.ravel() == 1) * x[0] ** 2, 0.7),  # widths are independent of labels
    ):
        assert abs(value.mean() - moment) < 4 * value.std() / np.sqrt(value.size)

    def cdf(t):
        return 0.9 * stats.norm.cdf(t / NARROW) + 0.1 * stats.norm.cdf(t / (4 * NARROW))

    assert stats.kstest(x.ravel()[:1_000_000], cdf).pvalue > 1e-3


def test_widths_are_drawn_anew_where_labels_stay():
    mixed = mixture.given([[-1e3], [1e3]], weights=[0.4, 0.6])
    x, labels = samples(Sampling(dwell=0.9), mixed, runs=4096, count=3, family=OUTLIERS)
    assert abs((labels[1] != labels[2]).mean() - 0.1 * 2 * 0.24) < 4 * np.sqrt(0.05 / 4096)
    squares = (x[0].astype(float) - np.where(labels, 1e3, -1e3)) ** 2
    assert abs(squares.mean() - 1) < 4 * squares.std() / np.sqrt(squares.size)
    assert abs(np.corrcoef(squares[1], squares[2])[0, 1]) < 4 / np.sqrt(4096)


def test_labels_stay_with_the_probability_stated_and_have_the_weights_as_their_law():
    mixed = mixture.given([[0.0], [40.0], [80.0]], weights=[0.2, 0.3, 0.5])
    runs, dwell = 4096, 0.8
    x, labels = samples(Sampling(dwell=dwell), mixed, runs=runs, count=30)
    assert_array_equal(np.rint(x[0] / 40), labels)  # the sample is of its label
    weights, error = np.array([0.2, 0.3, 0.5]), np.sqrt(0.25 / runs)
    for t in (0, 1, 29):  # stationary from the first sample on
        assert (abs(np.bincount(labels[t], minlength=3) / runs - weights) < 4 * error).all()
    same = 1 - np.sum(weights**2)
    for lag in (1, 2, 7):
        found = (labels[0] == labels[lag]).mean()
        assert abs(found - (1 - same * (1 - dwell**lag))) < 4 * error
    changes = stats.chi2_contingency([np.bincount(labels[10][(labels[9] == 0)], minlength=3)[1:], [300, 500]])
    assert changes.pvalue > 1e-3  # a label that is drawn anew is of the weights


def test_drifting_means_are_followed_at_the_lag_that_is_known():
    mixed = mixture.given([[0.0, 0.0]])
    many = batch(KEY, range(2000), mixed)
    start = np.zeros((1, 2, 2000), np.float32)
    rate, speed, n = 0.1, 0.05, 200
    record = jgmm.run(many, "lloyd", start, steps=rate, sampling=Sampling(drift=speed), checkpoints=[n])
    # relative to the mean: e <- (1 - eta)(e - v) + eta z
    lag = -speed * (1 - rate) / rate
    expected = lag**2 + 2 * rate / (2 - rate)
    found = record.error.error_sq[-1]
    assert abs(found.mean() - expected) < 4 * found.std() / np.sqrt(2000)
    along = record.displacement[0] * np.array([1, -1])[:, None] / np.sqrt(2)
    assert along.sum(axis=0).mean() == pytest.approx(lag, abs=4 * np.sqrt(rate / (2 - rate) / 2000))


# --- every back end, every run ---


@pytest.mark.parametrize("d", [5, pytest.param(40, marks=pytest.mark.slow)])
def test_every_back_end_makes_the_same_samples(d):
    of = covariance.low_rank(d, rank=2, factor=3.0)._replace(spread=covariance.ladder(d, ratio=3.0).spread)
    how = Sampling(of, dwell=0.8, drift=0.1)
    mixed = mixture.given(np.arange(3.0 * d).reshape(3, d), weights=[0.2, 0.3, 0.5], scales=[1.0, 2.0, 0.5])
    back_ends.assert_alike([stream_of(how, mixed, 9, open_stream=o) for o in back_ends.OPENS])
    back_ends.assert_alike([stream_of(how, mixed, 9, open_stream=o, family=OUTLIERS) for o in back_ends.OPENS])


def test_runs_of_several_dwells_and_drifts_share_a_program_and_are_as_alone():
    dwell, drift = np.array([0.5, 0.8, 0.9]), np.array([0.01, 0.1, 0.05])

    def record(ids, how):
        many = batch(KEY, ids, mixture.simplex(2, 5, separation=4.0))
        start = offset_start(KEY, many, 0.5)
        return jgmm.run(many, "lloyd", start, steps=0.05, sampling=how, checkpoints=[40]).error.error_sq[-1]

    together = record(range(3), Sampling(ALL.covariance, dwell, drift))
    assert_array_equal(together, [record([i], Sampling(ALL.covariance, dwell[i], drift[i]))[0] for i in range(3)])


def test_algorithm_2_starts_from_such_samples():
    many = batch(KEY, range(4), mixture.simplex(2, 4, separation=40.0))
    sizes = {"n": 700, "block": 100, "graph_points": 60, "neighbors": 10}
    how = Sampling(covariance.ladder(4, ratio=4.0), dwell=0.3)
    runs, start, _ = seed(KEY, many, **sizes, sampling=how, back_end="cpu")
    other, plain, _ = seed(KEY, many, **sizes, back_end="cpu")
    assert_array_equal(runs.words.s0, other.words.s0)
    assert (start.num_components == 2).all()
    assert (start.means != plain.means).any()
    _, wide, _ = seed(KEY, many, **sizes, noise=OUTLIERS, back_end="cpu")
    assert (wide.num_components == 2).all()
    assert (wide.means != plain.means).any()


# --- bad input ---


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (lambda: Sampling(dwell=1.0), "dwell is 1, expected"),
        (lambda: Sampling(drift=-0.1), "drift is -0.1, expected"),
        (lambda: Sampling(covariance.ladder(3, ratio=2.0)), "covariance is one of 3 coordinates, expected d = 5"),
        (lambda: covariance.ladder(3, ratio=0.5), "ratio is 0.5, expected"),
        (lambda: covariance.low_rank(3, rank=4, factor=2.0), "rank is 4, expected at most d = 3"),
        (lambda: covariance.spread([1.0, 0.0]), r"covariance\[1\] is 0, expected"),
    ],
)
def test_what_cannot_be_sampled_is_refused(how, message):
    with pytest.raises(ValueError, match=message):
        sampling.check(how(), 5, 3)


def test_a_head_of_outliers_is_refused():
    with pytest.raises(
        ValueError, match="start is 'first' with contaminated Gaussian noise .*sample by sample: expected"
    ):
        from_data(KEY, batch(KEY, range(2), mixture.symmetric(3, separation=4.0)), "first", head=9, noise="outliers")


def test_moving_means_are_refused_where_there_is_no_one_truth():
    many = batch(KEY, range(2), mixture.symmetric(3, separation=4.0))
    with pytest.raises(ValueError, match="drift is above 0: expected 0 for the one mean of a symmetric pair"):
        jgmm.run(many, "em", offset_start(KEY, many, 0.5)[:1], steps=0.1, sampling=Sampling(drift=0.1), checkpoints=[4])
    with pytest.raises(ValueError, match="drift is above 0: expected a start at or near the truth"):
        seed(KEY, many, n=200, block=50, graph_points=20, neighbors=3, sampling=Sampling(drift=0.1))
