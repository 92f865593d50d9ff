r"""Lengths of Gaussian vectors: chi variables of any number of degrees of freedom, exact, from a lane's own words.

The square of a chi variable of m degrees of freedom is twice a gamma variable of shape a = m / 2. Marsaglia and Tsang's
proposal for that (2000, "A simple method for generating gamma variables", ACM TOMS 26(3)) is

    b (1 + y)^3,    b = a - 1/3,    y = z / sqrt(9 b),    z standard normal

which is kept with probability e^-H, and else made anew. Their H is a difference of large numbers. It is the same as

    H = 3 b (y - y^2/2 + y^3/3 - ln(1 + y)) = (z^4 / (27 b)) (1/4 - y/5 + y^2/6 - ...) <= z^4 / (108 b min(1, 1 + y))

and e^-H >= 1 - H: where a uniform number is above that bound, no logarithm is needed. At m = 20 one proposal in 360 is
thrown away, at m = 1,000 one in 18,000. Nothing is approximated but by rounding, and by a uniform number's 31 bits.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from jgmm import elementary, lanes, loops, ordered, threefry
from jgmm.lanes import LaneState

LEAST = 3  # degrees of freedom
NEAR = 0.25  # |y| up to which the series is summed: twelve terms of it
TERMS = 12


class Numbers(NamedTuple):
    """What a draw is told of the degrees of freedom: arrays over the runs."""

    slope: Any  # 1 / sqrt(9 b): y = slope z
    factor: Any  # sqrt(2 b): the chi variable is factor (1 + y)^(3/2)


def numbers(degrees: np.ndarray) -> Numbers:
    """In float64. Raises ValueError for fewer than LEAST degrees of freedom."""
    if (degrees < LEAST).any():
        raise ValueError(f"degrees of freedom are {degrees.min()}, expected at least {LEAST}")
    shape = np.asarray(degrees, np.float64) / 2 - 1 / 3
    return Numbers(1 / np.sqrt(9 * shape), np.sqrt(2 * shape))


def length(z: Any, of: Numbers, root: Any) -> Any:
    """The chi variable that an accepted z stands for. root: the square root of an array."""
    base = 1 + of.slope * z
    return of.factor * base * root(base)


def plain(z: Any, u: Any, of: Numbers) -> Any:
    """Whether z is accepted whatever the logarithm says; u is uniform."""
    y = of.slope * z
    fourth = (z * z) * (z * z)
    bound = fourth * (of.slope * of.slope) / 12
    # With u <= 1, u (1 + y) > bound is more than u > bound where y > 0.
    return (u > bound) & (u * (1 + y) > bound)


def series(z: Any, of: Numbers) -> Any:
    """H by its series, for |y| <= NEAR."""
    y, fourth = of.slope * z, (z * z) * (z * z)
    total = 1 / (TERMS + 3)
    for n in range(TERMS - 2, -1, -1):
        total = 1 / (n + 4) - y * total
    return fourth * (of.slope * of.slope) / 3 * total


# --- in a stream ---


def draw(words: LaneState, z: Float[Array, "*runs"], of: Numbers) -> tuple[LaneState, Float[Array, "*runs"]]:
    """A chi variable of each run. z: a standard normal, the first proposal. words: of one lane, (1, *runs)."""
    words, u = _uniform(words, z.dtype)
    proposal = words, z, u
    _, z, _ = proposal = loops.until_done(_again, plain(z, u, of), proposal, of)
    return proposal[0], length(z, of, jnp.sqrt)


def _again(proposal: tuple, of: Numbers) -> tuple[Any, tuple]:
    """Whether the proposal is accepted, and the same one if it is, or else another."""
    words, z, u = proposal
    accepted = _accepted(z, u, of)
    words, first = lanes.next_bits(words)
    words, second = lanes.next_bits(words)
    words, other_u = _uniform(words, z.dtype)
    other = lanes.normal_pair(first, second)[0][0].astype(z.dtype)
    return accepted, (words, jnp.where(accepted, z, other), other_u)


def _accepted(z: Any, u: Any, of: Numbers) -> Any:
    """Whether a proposal is accepted."""
    y = of.slope * z
    far = (y - y * y / 2 + y * y * y / 3 - elementary.log1p(y)) / (3 * (of.slope * of.slope))
    threshold = jnp.where(jnp.abs(y) <= NEAR, series(z, of), far)
    return -elementary.log1p(-u) > threshold  # false where 1 + y is negative: the logarithm is none


def draw_each(words: LaneState, of: Numbers) -> tuple[LaneState, Float[Array, "n *runs"]]:
    """A chi variable of each run for each row of the numbers, (n, *runs), one after the other. words: of one lane.

    One loop, whose every round is a proposal for the first that is not drawn yet: code is as long for one as for many.
    """
    kept = jnp.zeros_like(of.slope)
    place = jnp.zeros(kept.shape[1:], jnp.int32)
    done = jnp.zeros(kept.shape[1:], bool)
    words, kept, _ = loops.until_done(_next, done, (words, kept, place), of)
    return words, length(kept, of, jnp.sqrt)


def _next(drawn: tuple, of: Numbers) -> tuple[Any, tuple]:
    """Whether all are drawn, and what is."""
    words, kept, place = drawn
    count = len(kept)
    here = jnp.arange(count, dtype=jnp.int32).reshape(-1, *[1] * place.ndim) == place[None]
    slope = of.slope[0]
    for i in range(1, count):
        slope = jnp.where(here[i], of.slope[i], slope)
    words, first = lanes.next_bits(words)
    words, second = lanes.next_bits(words)
    words, u = _uniform(words, slope.dtype)
    z = lanes.normal_pair(first, second)[0][0].astype(slope.dtype)
    accepted = _accepted(z, u, Numbers(slope, slope))
    kept = jnp.where(here, z[None], kept)  # one that is not accepted is replaced by the next
    place = place + accepted.astype(jnp.int32)
    return place == count, (words, kept, place)


def _uniform(words: LaneState, dtype: Any) -> tuple[LaneState, Any]:
    """A uniform number of a lane's next word, as fine as 31 bits can be; never 0."""
    words, bits = lanes.next_bits(words)
    return words, lanes.label_word(bits)[0].astype(dtype) * 2.0**-31 + 2.0**-32


# --- for starts ---


def drawn(keys: UInt32[np.ndarray, "2 runs"], degrees: Float[np.ndarray, "n runs"]) -> Float[np.ndarray, "n runs"]:
    """A chi variable for each number of degrees of freedom, in float64: a lane each, of a run's own key."""
    of, count = numbers(degrees), len(degrees)
    words = LaneState(*threefry.bits(keys, 4 * count).reshape(4, count, -1))
    accepted, kept = np.zeros(degrees.shape, bool), np.zeros(degrees.shape)
    while not accepted.all():  # a lane that is done draws on, and nobody looks
        words, first = lanes.next_bits(words)
        words, second = lanes.next_bits(words)
        words, bits = lanes.next_bits(words)
        z = lanes.normal_pair(first, second)[0].astype(np.float64)
        u = lanes.label_word(bits) * 2.0**-31 + 2.0**-32
        good = plain(z, u, of)
        for place in zip(*np.nonzero(~good & ~accepted), strict=True):
            good[place] = _by_logarithm(z[place], u[place], Numbers(*(x[place] for x in of)))
        kept = np.where(good & ~accepted, z, kept)
        accepted |= good
    return length(kept, of, np.sqrt)


def _by_logarithm(z: Any, u: Any, of: Numbers) -> bool:
    y = of.slope * z
    if y <= -1:
        return False
    far = (y - y * y / 2 + y * y * y / 3 - ordered.ln(1 + y)) / (3 * of.slope * of.slope)
    return bool(-ordered.ln(1 - u) > (series(z, of) if abs(y) <= NEAR else far))
