"""Words of JAX's keys, as NumPy computes them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from jgmm import threefry
from jgmm.engine import machine

# Of Random123's kat_vectors: threefry2x32, 20 rounds; key, counter, result.
KNOWN = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize(("key", "counter", "result"), KNOWN)
def test_the_cipher_gives_the_published_words(key, counter, result):
    key, counter = (np.array(pair, np.uint32)[:, None] for pair in (key, counter))
    assert_array_equal(np.ravel(threefry.encrypted(key, *counter)), result)


@pytest.mark.parametrize("seed", [0, 3, 2**31, 2**32 - 1])
def test_keys_and_words_are_jaxs(seed):
    key = jax.random.key(seed, impl=threefry.GENERATOR)
    assert_array_equal(threefry.words(key), [0, seed])
    assert threefry.keys(threefry.words(key)) == key
    ids = np.array([0, 1, 77, 2**31, 2**32 - 1], np.uint32)
    with machine.on_host():  # whatever JAX_THREEFRY_PARTITIONABLE says
        folded = jax.vmap(lambda run: jax.random.fold_in(key, run))(ids)
        bits = jax.vmap(lambda one: jax.random.bits(one, (7, 3), jnp.uint32), out_axes=-1)(folded)
        split = jax.random.split(key, 5)
    mine = threefry.fold_in(threefry.words(key)[:, None], ids)
    assert (threefry.keys(mine) == folded).all()
    assert_array_equal(threefry.words(folded), mine)
    assert_array_equal(threefry.bits(mine, 21).reshape(7, 3, 5), bits)
    assert (threefry.keys(threefry.fold_in(threefry.words(key)[:, None], np.arange(5, dtype=np.uint32))) == split).all()


def test_words_depend_on_the_key_and_their_place_alone(monkeypatch):
    keys = np.random.default_rng(0).integers(0, 2**32, (2, 30), dtype=np.uint32)
    whole = threefry.bits(keys, 40)
    for together in (1, 31, 100, 2**20):
        monkeypatch.setattr(threefry, "TOGETHER", together)
        assert_array_equal(threefry.bits(keys, 40), whole)
        assert_array_equal(threefry.bits(keys[:, 4:11], 17), whole[:17, 4:11])
    assert_array_equal(
        threefry.fold_in(keys[:, :, None], np.arange(3, dtype=np.uint32)[None])[:, 7, 2],
        threefry.fold_in(keys[:, 7:8], np.array([2], np.uint32))[:, 0],
    )
