r"""Random numbers that live in the carry: one xoshiro128++ generator per lane, a lane per coordinate and run.

A lane is four uint32 words. It is seeded once from a JAX key and the run's id, then advanced by shifts and adds alone;
threefry inside the stream would cost more than the simulation. What a run draws depends on (key, run id) alone.

    xoshiro128++    Blackman and Vigna 2021, "Scrambled linear pseudorandom number generators", ACM TOMS 47(4)
    normals         Box and Muller 1958: r = sqrt(-2 ln u), (r cos a, r sin a) with a uniform

Only +, *, sqrt and integer operations are used, so devices differ by fused multiply-adds alone. The polynomials are
Chebyshev-weighted least-squares fits of this project; the normals are within 3e-7 (relative) of the exact function of
the uniforms. The radius takes 31 bits, as float32 rounds them: |z| reaches 6.55, and the tail has all 31.

Arrays are NumPy's, JAX's or traced: one set of formulas. NumPy fuses no multiply-add, so what it computes of the same
bits is the same on every machine.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Integer, Key, UInt32

from jgmm import threefry

Words = UInt32[Array | np.ndarray, "*shape"]
Floats = Float[Array | np.ndarray, "*shape"]


class LaneState(NamedTuple):
    """The four words of every lane."""

    s0: UInt32[Array | np.ndarray, "lanes *runs"]
    s1: UInt32[Array | np.ndarray, "lanes *runs"]
    s2: UInt32[Array | np.ndarray, "lanes *runs"]
    s3: UInt32[Array | np.ndarray, "lanes *runs"]


def num_lanes(d: int) -> int:
    """Lanes of a sample in d dimensions: one for the label, two for each pair of coordinates."""
    return 1 + 2 * ((d + 1) // 2)


def seed(key: Key[Array, ""], run_id: Integer[Array | np.ndarray, "*runs"], *, d: int) -> LaneState:
    """The lanes of the runs with these ids, for samples in d dimensions: NumPy arrays.

    The words are `jax.random.bits(fold_in(key, run_id))`. (A lane of four zero words would stay zero; that has
    probability 2^-128.)
    """
    ids = np.asarray(run_id, np.uint32)
    keys = threefry.fold_in(threefry.words(key)[:, None], ids.reshape(-1))
    return LaneState(*threefry.bits(keys, 4 * num_lanes(d)).reshape(4, num_lanes(d), *ids.shape))


def next_bits(state: LaneState) -> tuple[LaneState, UInt32[Array | np.ndarray, "lanes *runs"]]:
    """One step of xoshiro128++: the next state, and 32 bits of every lane."""
    s0, s1, s2, s3 = state
    bits = _rotate(s0 + s3, 7) + s0
    shifted = s1 << 9
    s3 = s3 ^ s1
    return LaneState(s0 ^ s3, s1 ^ (s2 ^ s0), s2 ^ (s0 ^ shifted), _rotate(s3, 11)), bits


def more_bits(state: LaneState) -> tuple[LaneState, UInt32[Array | np.ndarray, "lanes_less_1 *runs"]]:
    """The next state, and 32 bits, of every lane but the label's, which stays."""
    after, bits = next_bits(state)
    of = _functions(state.s0)
    return LaneState(*(of.concatenate([old[:1], new[1:]]) for old, new in zip(state, after, strict=True))), bits[1:]


def past(state: LaneState, samples: int, *, draws: int) -> LaneState:
    """The lanes behind so many samples, of whose coordinates each lane gives so many words."""
    for _ in range(samples):
        state = next_bits(state)[0]
        for _ in range(draws - 1):
            state = more_bits(state)[0]
    return state


def uniform(bits: Words) -> Any:
    """float32 in [0, 1), a multiple of 2^-24."""
    return (bits >> 8).astype(np.float32) * np.float32(2**-24)


def fraction(bits: Words) -> Any:
    """float32 in [0, 1]: the top 31 bits, rounded."""
    return (bits >> 1).astype(np.int32).astype(np.float32) * HALF_TURN


def thresholds(weights: Float[Array | np.ndarray, "k *runs"]) -> Any:
    """Cumulated probabilities in units of 2^-31, less 1: component i is drawn when `i` of them are below `label_word`.

    Of shape (k - 1, *runs), int32; those of NumPy's weights are the same numbers as those of JAX's.

    Each weight is rounded to a multiple of 2^-31, and what the sum then lacks or has too much goes to the largest (the
    first of those), so that probabilities are whole numbers of units with sum 2^31 exactly. One that is not the largest
    is off by at most 2^-32, the largest by at most (k - 1) 2^-32 and what the weights given lack of 1; a weight of 0
    (or of less than 2^-32) is never drawn. A weight that is float32 is itself within 2^-25 of its size.
    """
    of = _functions(weights)
    units = of.round(weights * 2.0**31).astype(np.uint32)
    # Modulo 2^32, so exactly in any order: the whole is 2^31, and so is the most that any of the sums below can be.
    lacking = np.uint32(2**31) - of.sum(units, axis=0, dtype=np.uint32, keepdims=True)
    index = of.arange(len(weights)).reshape(-1, *[1] * (weights.ndim - 1))
    reached = index >= of.argmax(weights, axis=0, keepdims=True)
    cumulated = of.cumsum(units, axis=0, dtype=np.uint32) + of.where(reached, lacking, np.uint32(0))
    return (cumulated[:-1] - 1).astype(np.int32)


def label_word(bits: Words) -> Int[Array | np.ndarray, "*shape"]:
    """The top 31 bits, which choose the component: signed, since x86 compares signed words in one instruction."""
    return (bits >> 1).astype(jnp.int32)


def choose(
    word: Int[Array | np.ndarray, "b *shape"],
    steps: Int[Array | np.ndarray, "k_less_1 *shape"],
    options: Array | np.ndarray,
) -> Array:
    """options[i] for the component i of each `label_word`: (b, *shape) from (k, *shape), axes of length 1 spread.

    The comparison replaces an index: k - 1 selects in registers where a gather would be scalar on CPU.
    """
    chosen = options[:1]
    for i in range(len(options) - 1):
        chosen = jnp.where(word > steps[i][None], options[i + 1][None], chosen)
    return jnp.broadcast_to(chosen, np.broadcast_shapes(chosen.shape, word.shape))


# Polynomials, the highest power first, and a few constants of `normal_pair`.
LOG = np.array(
    [-0.17487891, 0.287546605, -0.298981905, 0.331213921, -0.399139553, 0.500043094, -0.666683674, 0.999999762, -2.0],
    np.float32,
)
SINE = np.array([-0.0046021631, 0.0796802193, -0.64596349, 1.57079637], np.float32)
COSINE = np.array([0.000903629872, -0.0208600704, 0.253669202, -1.23370051, 1.0], np.float32)
WHOLE_SINE = np.array([0.000151485132, -0.00467376644, 0.0796896815, -0.645963728, 1.57079637], np.float32)
OCTAVE = np.float32(-1.3862943611198906)  # -2 ln 2
HALF_TURN, TURN, HALF_STEP = np.float32(2**-31), np.float32(2**-32), np.float32(2**-33)


def normal_pair(a: Words, b: Words) -> tuple[Floats, Floats]:
    """Two independent standard normals: a gives the radius, b the angle."""
    of, radius = _functions(a), _radius(a)
    # Angle: a quadrant from the top two bits, and a position t in [-1/2, 1/2) of a quarter turn in it.
    position = _bits_as(b << 2, np.int32).astype(np.float32)
    t = position * TURN + HALF_STEP
    y = t * t
    sine = t * _polynomial(y, SINE)
    cosine = _polynomial(y, COSINE)
    # The quadrant is the top two bits: the lower one swaps, the upper one is the second's sign, their xor the first's.
    odd = (b & np.uint32(2**30)) != 0
    first = signed(of.where(odd, sine, cosine), b ^ (b << 1))
    second = signed(of.where(odd, cosine, sine), b)
    return radius * first, radius * second


def _radius(a: Words) -> Floats:
    """sqrt(-2 ln u) of the u of `twice_exponential`."""
    return _functions(a).sqrt(twice_exponential(a))


def twice_exponential(a: Words) -> Floats:
    """-2 ln u, u an odd multiple of 2^-31, from the top 31 bits: at least 0, mean 2, at most 62 ln 2 = 42.98.

    u = m 2^e with m in [sqrt(1/2), sqrt(2)): near u = 1 the logarithm is a small polynomial, and nothing cancels.
    """
    of = _functions(a)
    root_half = 0x3F3504F3  # sqrt(1/2) as the bits of a float32
    word = _bits_as(((a >> 1) | 1).astype(np.int32).astype(np.float32), np.int32) - root_half
    m = _bits_as((word & 0x7FFFFF) + root_half, np.float32) - 1
    mantissa = m * _polynomial(m, LOG)
    exponent = ((word >> 23) - 31).astype(np.float32) * OCTAVE
    return of.maximum(mantissa + exponent, 0)


def sine(b: Words) -> Floats:
    """sin(pi s/2) with s uniform in (-1, 1), from all 32 bits: distributed as the cosine of a uniform angle.

    Within 2e-7 (relative) of the exact function of s. |s| is at least 2^-32.
    """
    s = _bits_as(b, np.int32).astype(np.float32) * HALF_TURN + TURN
    return s * _polynomial(s * s, WHOLE_SINE)


def _polynomial(x: Floats, coefficients: Any) -> Floats:
    """Horner's rule, the highest power first."""
    value = coefficients[0] * x + coefficients[1]
    for i in range(2, len(coefficients)):
        value = value * x + coefficients[i]
    return value


def signed(x: Floats, word: Words) -> Floats:
    """-x where the word's top bit is set."""
    return _bits_as(_bits_as(x, np.uint32) ^ (word & np.uint32(2**31)), np.float32)


def _rotate(x: Words, by: int) -> Words:
    return (x << by) | (x >> (32 - by))


def _functions(x: Array | np.ndarray) -> Any:
    """The functions of arrays of this kind."""
    return np if isinstance(x, np.ndarray) else jnp


def _bits_as(x: Any, dtype: Any) -> Any:
    """The same bits as another type of 32 bits."""
    return x.view(dtype) if isinstance(x, np.ndarray) else lax.bitcast_convert_type(x, dtype)
