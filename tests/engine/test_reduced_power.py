"""Algorithm 2 in a reduced dimension: the same law as in all dimensions, from the first block to the last centre."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

import jgmm
from jgmm import mixture, radius, start
from jgmm.algorithms import pca
from jgmm.contract import Sample
from jgmm.engine import cpu, reduced_power, reduction

KEY = jax.random.key(5)
STARTS = jax.random.key(6)
WEIGHTS = {2: (0.7, 0.3), 3: (0.5, 0.3, 0.2), 5: (0.4, 0.2, 0.2, 0.1, 0.1)}
SCALES = {2: (1.0, 2.0), 3: (1.0, 0.5, 2.0), 5: (1.0, 0.5, 2.0, 1.0, 1.0)}
SMALL = {"n": 200, "block": 40, "graph_points": 20, "neighbors": 2}


def of(key, ids, k, d, *, reduced=True, separation=5.0):
    made = mixture.simplex(k, k if reduced else d, separation=separation, weights=WEIGHTS[k], scales=SCALES[k])
    return jgmm.batch(key, ids, made, d=d if reduced else None)


# --- a sample, and the end of a block ---


def test_a_sample_adds_what_it_has_along_the_basis():
    random = np.random.default_rng(1)
    basis, product, x = random.normal(size=(2, 3, 4)), random.normal(size=(2, 3, 4)), random.normal(size=(3, 4))
    beyond, scales, label = random.normal(size=(3, 4)), np.array([[1.0], [2.0]]) * np.ones(4), np.array([0, 1, 1, 0])
    state = reduced_power.State((), *map(jnp.asarray, (basis, product, beyond)))
    after = reduced_power.step(state, Sample(jnp.asarray(x), jnp.asarray(label)), reduced_power.Numbers(scales, None))
    for run in range(4):
        along, scale = basis[..., run] @ x[:, run], (1.0, 2.0)[label[run]]
        assert_allclose(after.product[..., run], product[..., run] + np.outer(along, x[:, run]), rtol=1e-5)
        square = scale**2 * np.outer(along, along)
        added = [square[0, 0], square[1, 0], square[1, 1]]
        assert_allclose(after.beyond[..., run], beyond[..., run] + added, rtol=1e-5)


def ended(product, gram, degrees, seed=3):
    """The basis at the end of a block, float64; the same sums in every run."""
    r, c, runs = product.shape
    beyond = np.stack([np.full(runs, gram[i][j]) for i in range(r) for j in range(i + 1)])
    words = tuple(word[0] for word in jgmm.lanes.seed(jax.random.key(seed), np.arange(runs), d=2))
    lengths = radius.numbers(np.repeat(degrees - np.arange(r)[:, None], runs, axis=1))
    with jax.enable_x64(True):
        state = reduced_power.State(words, jnp.zeros((r, c, runs)), jnp.asarray(product), jnp.asarray(beyond))
        return jax.jit(reduced_power.end)(state, reduced_power.Numbers(None, lengths))


def test_the_basis_that_a_block_leaves_has_the_law_of_a_gaussian_matrix_of_all_dimensions():
    runs, degrees, gram = 4000, 6, np.array([[4.0, 1.5], [1.5, 1.0]])
    inside = np.array([[3.0, 1.0, 0.5], [-1.0, 2.0, 0.3]])
    product = np.repeat(inside[..., None], runs, axis=2)
    found = np.asarray(ended(product, gram, degrees).basis)  # of one axis of means, and two of the basis
    random = np.random.default_rng(2)
    rows = np.linalg.cholesky(gram) @ random.normal(size=(runs, 2, degrees))
    whole = np.concatenate([np.repeat(inside[None], runs, axis=0), rows], axis=2)
    frames = np.linalg.qr(whole.transpose(0, 2, 1))[0].transpose(2, 1, 0)
    frames *= np.sign(np.einsum("rdn,ndr->rn", frames, whole.transpose(0, 2, 1)))[:, None]
    assert stats.ks_2samp(found[0, 0], frames[0, 0]).pvalue > 1e-3
    assert stats.ks_2samp(found[1, 0], frames[1, 0]).pvalue > 1e-3


def test_what_a_block_leaves_is_orthonormal_and_its_sums_are_empty():
    random = np.random.default_rng(4)
    after = ended(random.normal(size=(3, 5, 50)), np.eye(3), 9)
    basis = np.asarray(after.basis)
    assert_allclose(np.einsum("icn,jcn->nij", basis, basis), np.broadcast_to(np.eye(3), (50, 3, 3)), atol=1e-14)
    assert (basis[:, 2:] * np.triu(np.ones((3, 3)), 1)[..., None] == 0).all()
    assert not np.asarray(after.product).any()
    assert not np.asarray(after.beyond).any()


def test_a_block_that_saw_no_noise_beyond_leaves_its_sums_orthonormalised():
    inside = np.repeat(np.array([[3.0, 0.0, 4.0], [0.0, 2.0, 0.0]])[..., None], 3, axis=2)
    basis = np.asarray(ended(inside, np.zeros((2, 2)), 5).basis)
    assert_allclose(np.abs(basis[:, :, 0]), [[0.6, 0.8, 0.0], [0.0, 0.0, 1.0]], atol=1e-15)


def test_lengths_one_after_another_have_their_laws():
    runs = 40_000
    degrees = np.repeat(np.array([[40.0], [4.0], [3.0]]), runs, axis=1)
    words = jgmm.lanes.LaneState(*(word[:1] for word in jgmm.lanes.seed(KEY, np.arange(runs), d=1)))
    with jax.enable_x64(True):
        _, lengths = jax.jit(radius.draw_each)(words, radius.numbers(degrees))
    for row, m in zip(np.asarray(lengths), (40, 4, 3), strict=True):
        assert stats.kstest(row, stats.chi(m).cdf).pvalue > 1e-3
    assert np.abs(np.corrcoef(lengths)[np.triu_indices(3, 1)]).max() < 4 / runs**0.5


# --- the same law ---


def seeded(k, d, *, runs, reduced, stream=None, graph=12, separation=5.0):
    """How far the subspace is off, components, and errors of the centres found: rows of a number for each run.

    stream: of a stream behind, an algorithm and its samples; its largest errors are more rows.
    """
    key = jax.random.fold_in(KEY, reduced)
    batch = of(key, range(runs), k, d, reduced=reduced, separation=separation)
    sizes = {"n": 40 * d + graph * k, "block": 10 * d, "graph_points": graph * k, "neighbors": min(3, graph * k - 1)}
    stood, found, _ = start.seed(jax.random.fold_in(STARTS, reduced), batch, **sizes, back_end="cpu")
    error = start.measure(found.means, stood)
    rows = [start.measure_subspace(found.basis, stood), found.num_components == k, error.error_max, error.error_sq]
    if stream is not None:
        name, counts = stream
        record = jgmm.run(stood, name, found.means, steps=0.05, checkpoints=counts, back_end="cpu")
        rows += [*record.error.error_max[1:], *record.error.error_sq[1:]]
    return rows


def least(k, d, **how):
    """The least p-value of two-sample Kolmogorov-Smirnov tests, a number each."""
    pair = [seeded(k, d, reduced=reduced, **how) for reduced in (False, True)]
    return min(stats.ks_2samp(*rows).pvalue for rows in zip(*pair, strict=True))


def bases(*, reduced, runs=4000, k=2, d=12):
    """How far subspaces are off behind three blocks of power iteration."""
    key = jax.random.fold_in(KEY, reduced)
    batch = of(key, range(runs), k, d, reduced=reduced, separation=2.0)
    if reduced:
        batch = reduced_power.prepared(batch)
        kernel, state, params = reduced_power.opened(STARTS, batch)
    else:
        frames = start.frames(STARTS, batch)
        kernel, state, params = pca.POWER, pca.PowerState(frames, np.zeros_like(frames)), {}
    stream = cpu.open(kernel, batch.words, state, params, batch.mixture)
    stream.advance(3, block=60)
    return start.measure_subspace(stream.state().basis, batch)


def off():
    """The p-value of a two-sample Kolmogorov-Smirnov test of them."""
    return stats.ks_2samp(bases(reduced=False), bases(reduced=True)).pvalue


def test_power_iteration_finds_what_it_does_in_all_dimensions():
    assert off() > 1e-3


def test_one_degree_of_freedom_too_many_is_caught(monkeypatch):
    of_degrees = radius.numbers
    monkeypatch.setattr(radius, "numbers", lambda degrees: of_degrees(degrees + 1))
    assert off() < 1e-6


def cut(state, params):
    """An end that drops what the basis has beyond its coordinates."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reduction, "triangular", lambda high, low: low)
        return reduced_power.end(state, params)


def test_axes_that_are_not_turned_back_are_caught(monkeypatch):
    monkeypatch.setattr(reduced_power, "KERNEL", reduced_power.KERNEL._replace(end=cut))
    assert off() < 1e-6


CASES = {
    "2, in 20": (2, 20, ("lloyd", (30, 300))),
    "3, in 20": (3, 20, ("lloyd", (30, 300))),
    "5, in 20": (5, 20, ("lloyd", (30, 300))),
    "2, in 60": (2, 60, ("soft", (30, 300))),
    "3, in 60": (3, 60, ("soft", (30, 300))),
    "5, in 60": (5, 60, ("lloyd", (30, 300))),
}


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_the_whole_pipeline_has_the_law_of_all_dimensions(name):
    k, d, stream = CASES[name]
    assert least(k, d, runs=20_000, stream=stream) > 1e-4 / 20


@pytest.mark.slow
def test_a_pipeline_behind_algorithm_2_has_the_law_of_all_dimensions():
    assert least(3, 20, runs=1000, stream=("lloyd", (30, 300))) > 1e-4


def test_a_subspace_in_a_million_dimensions_is_as_far_off_as_its_law_says():
    d, block = 10**6, 2000
    # Of one block the overlap of U with the means is about sqrt(k/d): these must stand out by far.
    apart = 3e4
    batch = jgmm.batch(KEY, range(200), mixture.symmetric(1, separation=apart), d=d)
    sizes = {"n": 2 * block + 20, "block": block, "graph_points": 20, "neighbors": 2}
    stood, found, _ = start.seed(STARTS, batch, **sizes)
    sines = start.measure_subspace(found.basis, stood).astype(float)
    # S u = (apart/2)^2 B u up to what noise adds at right angles: (apart/2) sqrt(B d).
    expected = d / (block * (apart / 2) ** 2)
    assert abs((sines**2).mean() / expected - 1) < 0.02


@pytest.mark.slow
def test_a_direction_of_noise_alone_is_as_good_in_float32_where_means_are_far_away():
    bases = []
    means = 3e4 * np.array([[0.0, 0, 0], [1, 0, 0], [0.3, 2, 0]])  # which span two directions
    for x64 in (False, True):
        with jax.enable_x64(x64):
            batch = jgmm.batch(KEY, range(100), mixture.given(means, weights=WEIGHTS[3], scales=SCALES[3]), d=40)
            sizes = {"n": 44, "block": 40, "graph_points": 4, "neighbors": 1}
            bases.append(start.seed(STARTS, batch, **sizes, back_end="cpu")[1].basis.astype(float))
    cosines = np.linalg.svd(np.einsum("icn,jcn->nij", *bases), compute_uv=False)
    assert_allclose(cosines, 1, atol=1e-6)


# --- bits ---


@pytest.mark.parametrize("back_end", ["cpu", "scan"])
def test_a_run_is_its_own_whatever_the_others_dimensions_are(back_end):
    def all_of(ids, d):
        batch = of(KEY, ids, 2, d)
        stood, found, _ = start.seed(STARTS, batch, **SMALL, back_end=back_end)
        return [*stood.words, *stood.space.words, stood.mixture.means, found.means, found.num_components, found.basis]

    whole, alone = all_of([9, 4, 2], np.array([10**6, 100, 17])), all_of([4], 100)
    for one, among in zip(alone, whole, strict=True):
        assert_array_equal(one[..., 0], among[..., 1])


def test_the_stream_goes_on_behind_the_samples_of_algorithm_2():
    batch = of(KEY, range(4), 3, 50)
    stood, _, _ = start.seed(STARTS, batch, **SMALL)
    moved = batch.words
    for _ in range(SMALL["n"]):
        moved = jgmm.lanes.next_bits(moved)[0]
    used = reduction.lanes_for(moved, 2 + 3)
    for after, before, word in zip(reduction.lanes_for(stood.words, 2 + 3), batch.words, used, strict=True):
        assert_array_equal(after, word)
        assert len(before) == len(stood.words.s0)
    assert all((a != b).any() for a, b in zip(stood.space.words, batch.space.words, strict=True))
    assert stood.mixture.means.shape == (3, 2, 4)


# --- what is refused ---


@pytest.mark.parametrize(
    ("d", "how", "message"),
    [
        (100, {"method": "oja"}, "method is 'oja', expected 'block' where the dimension is reduced"),
        (100, {"noise": "uniform"}, "noise is uniform noise, expected Gaussian noise where the dimension is reduced"),
        (6, {}, "d is 6, expected at least 7 for Algorithm 2 in a reduced dimension"),
    ],
)
def test_what_cannot_be_reduced_is_refused(d, how, message):
    with pytest.raises(ValueError, match=message):
        start.seed(STARTS, of(KEY, range(2), 2, d), **SMALL, **how)
