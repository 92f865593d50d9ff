r"""Random numbers that live in the carry: one xoshiro128++ generator per lane, a lane per coordinate and run.

A lane is four uint32 words. It is seeded once from a JAX key and the run's id, then advanced by shifts and adds alone;
threefry inside the stream would cost more than the simulation. What a run draws depends on (key, run id) alone.

    xoshiro128++    Blackman and Vigna 2021, "Scrambled linear pseudorandom number generators", ACM TOMS 47(4)
    normals         Box and Muller 1958: r = sqrt(-2 ln u), (r cos a, r sin a) with a uniform

Only +, *, sqrt and integer operations are used, so devices differ by fused multiply-adds alone. The polynomials are
Chebyshev-weighted least-squares fits of this project; the normals are within 3e-7 (relative) of the exact function of
the uniforms. The radius takes 31 bits, as float32 rounds them: |z| reaches 6.55, and the tail has all 31.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Integer, Key, UInt32

GENERATOR = "threefry2x32"  # of keys, by name: JAX's default is the user's to set


class LaneState(NamedTuple):
    """The four words of every lane."""

    s0: UInt32[Array | np.ndarray, "lanes *runs"]
    s1: UInt32[Array | np.ndarray, "lanes *runs"]
    s2: UInt32[Array | np.ndarray, "lanes *runs"]
    s3: UInt32[Array | np.ndarray, "lanes *runs"]


def num_lanes(d: int) -> int:
    """Lanes of a sample in d dimensions: one for the label, two for each pair of coordinates."""
    return 1 + 2 * ((d + 1) // 2)


def seed(key: Key[Array, ""], run_id: Integer[Array, "*runs"], *, d: int) -> LaneState:
    """The lanes of the runs with these ids, for samples in d dimensions.

    The words are `jax.random.bits(fold_in(key, run_id))`. (A lane of four zero words would stay zero; that has
    probability 2^-128.)
    """

    def one(run):
        return jax.random.bits(jax.random.fold_in(key, run), (4, num_lanes(d)), jnp.uint32)

    flat = jax.vmap(one, out_axes=-1)(run_id.reshape(-1))
    return LaneState(*flat.reshape(*flat.shape[:-1], *run_id.shape))


def next_bits(state: LaneState) -> tuple[LaneState, UInt32[Array | np.ndarray, "lanes *runs"]]:
    """One step of xoshiro128++: the next state, and 32 bits of every lane."""
    s0, s1, s2, s3 = state
    bits = _rotate(s0 + s3, 7) + s0
    shifted = s1 << 9
    s3 = s3 ^ s1
    return LaneState(s0 ^ s3, s1 ^ (s2 ^ s0), s2 ^ (s0 ^ shifted), _rotate(s3, 11)), bits


def uniform(bits: UInt32[Array, "*shape"]) -> Float[Array, "*shape"]:
    """float32 in [0, 1), a multiple of 2^-24."""
    return (bits >> 8).astype(jnp.float32) * np.float32(2**-24)


def thresholds(weights: Float[Array, "k *runs"]) -> Int[Array, "k_less_1 *runs"]:
    """Cumulated probabilities in units of 2^-31, less 1: component i is drawn when `i` of them are below `label_word`.

    Each weight is rounded to a multiple of 2^-31, and what the sum then lacks or has too much goes to the largest (the
    first of those), so that probabilities are whole numbers of units with sum 2^31 exactly. One that is not the largest
    is off by at most 2^-32, the largest by at most (k - 1) 2^-32 and what the weights given lack of 1; a weight of 0
    (or of less than 2^-32) is never drawn. A weight that is float32 is itself within 2^-25 of its size.
    """
    units = jnp.round(weights * 2.0**31).astype(jnp.uint32)
    # Modulo 2^32, so exactly in any order: the whole is 2^31, and so is the most that any of the sums below can be.
    rest = np.uint32(2**31) - jnp.sum(units, axis=0, dtype=jnp.uint32)
    largest = lax.argmax(weights, 0, jnp.int32)
    reached = lax.broadcasted_iota(jnp.int32, weights.shape, 0) >= largest[None]
    cumulated = jnp.cumsum(units, axis=0, dtype=jnp.uint32) + jnp.where(reached, rest[None], 0)
    return (cumulated[:-1] - 1).astype(jnp.int32)


def label_word(bits: UInt32[Array, "*shape"]) -> Int[Array, "*shape"]:
    """The top 31 bits, which choose the component: signed, since x86 compares signed words in one instruction."""
    return (bits >> 1).astype(jnp.int32)


def choose(word: Int[Array, "b *shape"], steps: Int[Array, "k_less_1 *shape"], options: Array) -> Array:
    """options[i] for the component i of each `label_word`: (b, *shape) from (k, *shape), axes of length 1 spread.

    The comparison replaces an index: k - 1 selects in registers where a gather would be scalar on CPU.
    """
    chosen = options[:1]
    for i in range(len(options) - 1):
        chosen = jnp.where(word > steps[i][None], options[i + 1][None], chosen)
    return jnp.broadcast_to(chosen, np.broadcast_shapes(chosen.shape, word.shape))


class Coefficients(NamedTuple):
    """What `normal_pair` computes with: polynomials, the highest power first, and a few constants."""

    log: Any = (
        *(-0.17487891, 0.287546605, -0.298981905, 0.331213921, -0.399139553),
        *(0.500043094, -0.666683674, 0.999999762, -2.0),
    )
    sine: Any = (-0.0046021631, 0.0796802193, -0.64596349, 1.57079637)
    cosine: Any = (0.000903629872, -0.0208600704, 0.253669202, -1.23370051, 1.0)
    octave: Any = (-2 * np.log(2),)
    angle: Any = (2**-32, 2**-33)


COEFFICIENTS = Coefficients(*(np.array(values, np.float32) for values in Coefficients()))


def normal_pair(
    a: UInt32[Array, "*shape"], b: UInt32[Array, "*shape"], coefficients: Coefficients = COEFFICIENTS
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Two independent standard normals: a gives the radius, b the angle.

    coefficients: as arrays that the compiler does not know, they are loaded once; constants it would put into the code
    of a CPU again and again.
    """
    radius = _radius(a, coefficients)
    # Angle: a quadrant from the top two bits, and a position t in [-1/2, 1/2) of a quarter turn in it.
    position = lax.bitcast_convert_type(b << 2, jnp.int32).astype(jnp.float32)
    t = position * coefficients.angle[0] + coefficients.angle[1]
    y = t * t
    sine = t * _polynomial(y, coefficients.sine)
    cosine = _polynomial(y, coefficients.cosine)
    # The quadrant is the top two bits: the lower one swaps, the upper one is the second's sign, their xor the first's.
    odd = (b & np.uint32(2**30)) != 0
    first = _flip(jnp.where(odd, sine, cosine), b ^ (b << 1))
    second = _flip(jnp.where(odd, cosine, sine), b)
    return radius * first, radius * second


def _radius(a: UInt32[Array, "*shape"], coefficients: Coefficients) -> Float[Array, "*shape"]:
    """sqrt(-2 ln u), u an odd multiple of 2^-31.

    u = m 2^e with m in [sqrt(1/2), sqrt(2)): near u = 1 the logarithm is a small polynomial, and nothing cancels.
    """
    root_half = 0x3F3504F3  # sqrt(1/2) as the bits of a float32
    word = lax.bitcast_convert_type(((a >> 1) | 1).astype(jnp.int32).astype(jnp.float32), jnp.int32) - root_half
    m = lax.bitcast_convert_type((word & 0x7FFFFF) + root_half, jnp.float32) - 1
    mantissa = m * _polynomial(m, coefficients.log)
    exponent = ((word >> 23) - 31).astype(jnp.float32) * coefficients.octave[0]
    return jnp.sqrt(jnp.maximum(mantissa + exponent, 0))


def _polynomial(x: Float[Array, "*shape"], coefficients: Float[Array, "terms"] | np.ndarray) -> Float[Array, "*shape"]:
    """Horner's rule, the highest power first."""
    value = coefficients[0] * x + coefficients[1]
    for i in range(2, len(coefficients)):
        value = value * x + coefficients[i]
    return value


def _flip(x: Float[Array, "*shape"], word: UInt32[Array, "*shape"]) -> Float[Array, "*shape"]:
    """-x where the word's top bit is set."""
    sign = word & np.uint32(2**31)
    return lax.bitcast_convert_type(lax.bitcast_convert_type(x, jnp.uint32) ^ sign, jnp.float32)


def _rotate(x: UInt32[Array | np.ndarray, "*shape"], by: int) -> UInt32[Array | np.ndarray, "*shape"]:
    return (x << by) | (x >> (32 - by))
