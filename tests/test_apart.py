"""Which optax transformations treat runs apart: read off their programs, whatever the gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_array_equal

import jgmm
from jgmm import apart, loops, mixture
from jgmm.algorithms.lloyd import LLOYD
from jgmm.start import offset_start

KEY = jax.random.key(5)
SHAPE = (2, 3, 32)


@pytest.fixture(autouse=True)
def strict():
    """JAX as it is, in place of the other tests' strictness: optax promotes dtypes and ranks."""


def norm_of_each_run(limit):
    """A clip by a run's own norm, its sum in a written order."""

    def update(updates, state, params=None):
        del params
        flat = updates.reshape(-1, updates.shape[-1])
        square = loops.add_up(len(flat), lambda j: flat[j] ** 2, jnp.zeros_like(flat[0]))
        return updates * (-0.1 * jnp.minimum(1, limit / jnp.sqrt(square)))[None, None], state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def every(steps, transformation):
    return optax.MultiSteps(transformation, steps).gradient_transformation()


def of_gradients(change):
    return optax.stateless(lambda gradients, params: change(gradients))


APART = {
    "sgd": optax.sgd(0.1),
    "momentum": optax.sgd(0.1, momentum=0.9, nesterov=True),
    "a schedule": optax.sgd(optax.warmup_cosine_decay_schedule(0.0, 0.1, 10, 100)),
    "adam": optax.adam(0.1),
    "rmsprop": optax.rmsprop(0.1),
    "lion": optax.lion(0.1),
    "an elementwise clip": optax.chain(optax.clip(1.0), optax.sgd(0.1)),
    "now and then": every(4, optax.sgd(0.1)),
    "a norm of each run": norm_of_each_run(1.0),
    "the largest coordinate": of_gradients(lambda g: g / jnp.max(jnp.abs(g), axis=1, keepdims=True)),
    "coordinates sorted": of_gradients(lambda g: jnp.sort(g, axis=1)),
    "a detour": of_gradients(lambda g: jnp.moveaxis(jnp.moveaxis(g, -1, 0)[:, ::-1], 0, -1)),
    "rows stacked": of_gradients(lambda g: jnp.stack([g[1], g[0]])),
    "coordinates stacked": of_gradients(lambda g: jnp.stack([g[:, 0], g[:, 1], g[:, 2]], axis=1)),
    "rows by a scan": of_gradients(lambda g: jax.lax.scan(lambda c, x: (c + x, c), g[0], g)[1]),
}
MIXING = {
    "a norm": optax.clip_by_global_norm(1.0),
    "a norm at last": every(4, optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1))),
    "a norm of few gradients": optax.chain(optax.clip_by_global_norm(1e3), optax.sgd(0.1)),
    "a norm in the end": optax.conditionally_transform(optax.clip_by_global_norm(1.0), lambda count: count > 10**6),
    "all finite": optax.apply_if_finite(optax.sgd(0.1), 3),
    "centralised": optax.chain(optax.centralize(), optax.sgd(0.1)),
    "lamb": optax.lamb(0.1),
    "sorted": of_gradients(lambda g: jnp.sort(g, axis=-1)),
    "rolled": of_gradients(lambda g: jnp.roll(g, 1, axis=-1)),
    "reversed": of_gradients(lambda g: g[..., ::-1]),
    "the first run's": of_gradients(lambda g: g * g[..., :1]),
    "stacked along the runs": of_gradients(lambda g: jnp.stack([g, g], axis=-1).reshape(2, 3, -1)[..., :32]),
    "taken together": of_gradients(lambda g: g.reshape(2, -1).max(axis=1, keepdims=True)[:, None] * g),
    "a product": of_gradients(lambda g: jnp.cumprod(g, axis=2)),
    "in a loop": of_gradients(lambda g: jax.lax.fori_loop(0, 3, lambda i, x: x.at[..., 1:].set(x[..., :-1]), g)),
    "transposed and back": of_gradients(lambda g: jnp.broadcast_to(g[0, :, :3].T[None, :, :1], g.shape)),
}
UNFIT = {
    "noise": (optax.add_noise(0.1, 0.1, 0), "draws random numbers"),
    "a matrix": (of_gradients(lambda g: jnp.einsum("kdr,edr->ker", g, g)[:, :1] * g), "not known whether"),
    "a sum in any order": (of_gradients(lambda g: g / jnp.sum(g**2, axis=(0, 1), keepdims=True)), "add_up"),
    "a memory without runs": (optax.sm3(0.1), r"state holds an array of shape \(2,\)"),
    "another shape": (of_gradients(lambda g: g[:1]), "expected no change"),
    "loss wanted": (optax.contrib.reduce_on_plateau(), "cannot take gradients"),
}


@pytest.mark.parametrize("name", APART)
def test_what_treats_runs_apart_is_taken(name):
    apart.check(APART[name], SHAPE, np.float32)


@pytest.mark.parametrize("name", MIXING)
def test_what_mixes_runs_is_refused_however_late_or_seldom_it_does(name):
    with pytest.raises(ValueError, match=r"mixes runs|not known whether"):
        apart.check(MIXING[name], SHAPE, np.float32)


@pytest.mark.parametrize("name", UNFIT)
def test_what_else_would_make_a_run_depend_on_others_is_refused(name):
    transformation, message = UNFIT[name]
    with pytest.raises(ValueError, match=message):
        apart.check(transformation, SHAPE, np.float32)


@pytest.mark.parametrize("name", ["now and then", "a norm of each run"])
def test_a_run_alone_is_a_run_among_others(name):
    def run(ids):
        runs = jgmm.batch(KEY, ids, mixture.simplex(2, 3, separation=3.0))
        return jgmm.run(runs, LLOYD, offset_start(KEY, runs, 0.5), steps=APART[name], checkpoints=[50])

    assert_array_equal(run(range(40)).centres[..., 17], run([17]).centres[..., 0])
