"""The streams in JAX the way its manual suggests: one run written down, `vmap`ed, its samples from `jax.random`."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import PartitionSpec as P

BLOCK = 32  # samples drawn at a time


@partial(jax.jit, static_argnames=("run", "mesh"))
def all_runs(keys, *shared, run, mesh):
    """run(key, *shared) for every key, a share of them on each device."""
    each = jax.vmap(run, in_axes=(0, *[None] * len(shared)))
    specs = (P("runs"), *[P()] * len(shared))
    return jax.shard_map(each, mesh=mesh, in_specs=specs, out_specs=P("runs"), check_vma=False)(keys, *shared)


def draw(key, means, thresholds, count):
    """Samples of unit scale, (count, d)."""
    key_label, key_noise = jax.random.split(key)
    u = jax.random.uniform(key_label, (count,))
    labels = jnp.sum(u[:, None] >= thresholds[None], axis=1)
    return means[labels] + jax.random.normal(key_noise, (count, means.shape[1]))


def lloyd(key, means, thresholds, rate, blocks):
    """Centres (k, d) of one run after `blocks` blocks of samples."""

    def step(centres, x):
        winner = jnp.argmin(jnp.sum((x[None] - centres) ** 2, axis=1))
        return centres.at[winner].add(rate * (x - centres[winner])), None

    def consume(index, centres):
        return lax.scan(step, centres, draw(jax.random.fold_in(key, index), means, thresholds, BLOCK))[0]

    return lax.fori_loop(0, blocks, consume, means)


def em(key, means, thresholds, rate, blocks):
    """The estimate (d) of the first of two means, the other its negative."""

    def step(mean, x):
        return mean + rate * (jnp.tanh(x @ mean) * x - mean), None

    def consume(index, mean):
        return lax.scan(step, mean, draw(jax.random.fold_in(key, index), means, thresholds, BLOCK))[0]

    return lax.fori_loop(0, blocks, consume, means[0])


def power(key, means, thresholds, blocks, *, size):
    """A basis (d, k) after `blocks` steps of power iteration, each on a block of `size` samples."""
    key_start, key_samples = jax.random.split(key)

    def step(index, basis):
        x = draw(jax.random.fold_in(key_samples, index), means, thresholds, size)
        return jnp.linalg.qr(x.T @ (x @ basis))[0]

    return lax.fori_loop(0, blocks, step, jnp.linalg.qr(jax.random.normal(key_start, means.T.shape))[0])
