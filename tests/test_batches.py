"""Mini-batches: by hand, plain NumPy loops for every kind of gate and rule, and what a study makes of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jgmm
from jgmm import batches, mixture, steps
from jgmm.engine import cpu
from jgmm.start import offset_start
from jgmm.study import grid, names, spec

KEY, RUNS, SIZE, STEPS = jax.random.key(2), 5, 6, 20
PULL = jnp.array([[2.0, 0.0], [0.0, 4.0]])
HERE = jnp.array([[1.0, 1.0], [1.0, 1.0]])


def gathered(rule, *gates, inner=()):
    """Memory after a pull under each of the gates."""
    memory = batches.begin(rule, inner, np.zeros((2, 2), np.float32))
    for gate in gates:
        here, memory = batches.gather(memory, HERE, PULL, gate)
        assert here is HERE
    return memory


def test_a_step_is_the_rate_times_the_batchs_mean_pull():
    flags = gathered(steps.CONSTANT, jnp.array([True, False]), jnp.array([True, True]))
    shares = gathered(steps.CONSTANT, jnp.array([0.5, 0.25]), jnp.array([0.0, 1.0]))
    everyone = gathered(steps.CONSTANT, None, None)
    rule, numbers = (steps.CONSTANT.apply, None), {"rate": jnp.float32(0.1)}
    for memory, total in ((flags, [[4, 0], [0, 4]]), (shares, [[1, 0], [0, 5]]), (everyone, [[4, 0], [0, 8]])):
        offset, after = batches.take(rule, numbers, memory, HERE, jnp.float32(1 / 2))
        assert_allclose(offset, 1 + 0.1 * np.array(total) / 2, rtol=1e-6)
        assert_array_equal(after.total, np.zeros((2, 2)))
        assert after.hits is None


def test_with_steps_of_1_over_n_a_centre_is_the_mean_of_all_samples_that_it_has_won():
    rule = steps.INVERSE_COUNT
    memory = gathered(rule, jnp.array([True, False]), jnp.array([True, True]), inner=jnp.array([1, 7], jnp.int32))
    offset, after = batches.take((rule.apply, rule.of_batch), {}, memory, HERE, jnp.float32(1 / 2))
    assert_allclose(offset, [[1 + 4 / 3, 1], [1, 1 + 4 / 8]])
    assert_array_equal(after.inner, np.array([3, 8]))
    assert_array_equal(after.hits, np.zeros(2))


@pytest.fixture(scope="module")
def drawn():
    """Runs, their start, and the samples that they will take in, (steps, batch, d, runs)."""
    batch = jgmm.batch(KEY, range(RUNS), mixture.symmetric(4, separation=3.0))
    _, x = cpu.draw(batch.words, batch.mixture, SIZE * STEPS)
    return batch, offset_start(KEY, batch, 0.5), np.moveaxis(x, 1, 0).reshape(STEPS, SIZE, 4, RUNS).astype(float)


def nearest(centres, x):
    away = ((x[:, None] - centres) ** 2).sum(axis=2)
    return (np.arange(len(centres)) == away.argmin(axis=1)[:, None, :].swapaxes(1, 2)).swapaxes(1, 2).astype(float)


def posterior(centres, x):
    weight = np.exp(-((x[:, None] - centres) ** 2).sum(axis=2) / 2)
    return weight / weight.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("back_end", ["cpu", "scan"])
@pytest.mark.parametrize(
    ("name", "gates", "rule"),
    [
        ("lloyd", nearest, "constant"),
        ("lloyd", nearest, "polynomial"),
        ("lloyd", nearest, "1/n"),
        ("soft", posterior, "constant"),
    ],
)
def test_it_is_the_plain_loop(name, gates, rule, back_end, drawn):
    batch, start, samples = drawn
    size = {"constant": 0.3, "polynomial": steps.polynomial(0.5, 0.7, 2.0), "1/n": steps.inverse_count(1)}[rule]
    found = jgmm.run(
        batch, name, start, steps=size, checkpoints=[SIZE * STEPS], batch_size=SIZE, back_end=back_end, twin=False
    )
    centres, counts = start.astype(float), np.ones((2, RUNS))
    for t, x in enumerate(samples):
        gate = gates(centres, x)  # (batch, k, runs)
        total = (gate[:, :, None] * (x[:, None] - centres)).sum(axis=0)
        counts += gate.sum(axis=0)
        rate = {"constant": 0.3, "polynomial": 0.5 / (t + 2) ** 0.7}.get(rule)
        centres = centres + (total / counts[:, None] if rate is None else rate * total / SIZE)
    assert_allclose(found.centres, centres, atol=2e-5)


@pytest.mark.parametrize("back_end", ["cpu", "scan"])
def test_an_average_is_over_batches_and_a_tanh_has_no_gate(back_end, drawn):
    batch, start, samples = drawn
    found = jgmm.run(
        batch,
        "em",
        start[:1],
        steps=0.2,
        checkpoints=[SIZE * 2, SIZE * STEPS],
        batch_size=SIZE,
        average=5,
        back_end=back_end,
    )
    mean, kept = start[0].astype(float), []
    for x in samples:
        pull = np.tanh((x * mean).sum(axis=1))[:, None] * x - mean
        mean = mean + 0.2 * pull.mean(axis=0)
        kept.append(mean)
    assert_allclose(found.centres[0], np.mean(kept[5:], axis=0), atol=2e-5)
    two = ((kept[1] - np.asarray(batch.mixture.means[0])) ** 2).sum(axis=0)  # within the burn: the last iterate
    assert_allclose(found.error.error_sq[1], two, rtol=1e-4)


def test_the_twin_takes_the_same_batches(drawn):
    batch, start, _ = drawn
    found = jgmm.run(batch, "lloyd", start, steps=0.3, checkpoints=[SIZE * STEPS], batch_size=SIZE, twin=True)
    far = jgmm.run(batch, "oracle", start, steps=0.3, checkpoints=[SIZE * STEPS], batch_size=SIZE)
    assert_allclose(found.twin_displacement, far.displacement, atol=1e-6)


def test_checkpoints_between_batches_are_refused(drawn):
    batch, start, _ = drawn
    with pytest.raises(ValueError, match="checkpoints hold 15, expected multiples of batch_size = 6"):
        jgmm.run(batch, "lloyd", start, steps=0.3, checkpoints=[12, 15], batch_size=6)


# --- in a study ---


def cells(text):
    return grid.cells(spec.parse(text, source="spec", folder=spec.Path(), default_name="batches"))


SPEC = """
[mixture]
k = 2
d = 4
[stream]
n = 1000
start = 0.5
rate = {rate}
batch = {batch}
checkpoints = {checkpoints}
"""


def test_batches_are_an_axis_and_checkpoints_are_whole_batches():
    one, many = cells(SPEC.format(batch=[1, 100], checkpoints=[10, 250, 270], rate=0.01))
    assert (one.batch, one.checkpoints) == (1, (10, 250, 270, 1000))
    assert (many.batch, many.checkpoints) == (100, (100, 300, 1000))
    assert one.identifier(0, False) != many.identifier(0, False)
    assert one.program_fields() != many.program_fields()
    assert names.of_cell(many)["batch"] == 100


def test_a_named_rate_counts_steps():
    one, few = cells(SPEC.format(batch=[1, 10], checkpoints=1, rate='"paper"'))
    assert_allclose(few.rate, 3 * 2 * np.log(3 * 100) / 100)
    assert_allclose(one.rate, 3 * 2 * np.log(3 * 1000) / 1000)
    assert few.theorem == "none"


def test_a_batch_that_n_is_not_made_of_is_refused():
    with pytest.raises(ValueError, match="batch is 300: expected a divisor of n = 1000"):
        cells(SPEC.format(batch=300, checkpoints=1, rate=0.01))
