r"""Noise families by name: what a sample differs from its mean by. To add one: a function of two words, and a record.

Every family has mean 0 and variance 1 in each coordinate, and its coordinates are independent of each other; those of
`outliers` are uncorrelated, but wide together.

    gaussian        Box and Muller's pair
    uniform         in [-sqrt(3), sqrt(3)]
    laplace         +-(-ln u)/sqrt(2), by inversion
    student         sqrt((df - 2) (u^{-2/df} - 1)) sin(pi s/2), s uniform in (-1, 1): Student's t over its standard
                    deviation sqrt(df/(df - 2)). Bailey 1994, "Polar generation of random variates with the
                    t-distribution", Mathematics of Computation 62(206), whose sine of a full turn has the law of this
                    one. The other coordinate of his pair depends on the first: it is not used.
    contaminated    a normal, `factor` times as wide with probability `share`, over sqrt(1 - share + share factor^2)
    outliers        the same for whole samples, whose coordinates are wide together: the contaminated normal of Tukey
                    1960 and Huber 1964 in d dimensions, (1 - share) N(0, I) + share N(0, factor^2 I) but for the unit

u is an odd multiple of 2^-31. So |z| is at most 15.2 for Laplace, ((df - 2)(2^{62/df} - 1))^{1/2} for Student: 1,291
for df = 3 and 127 for df = 5, which t exceeds about once in 10^10 draws.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from jgmm import doors, elementary, lanes, named
from jgmm.contract import Noise, Numbers
from jgmm.sampling import Widths

WIDTH = np.float32(np.sqrt(12))  # of the uniform law of variance 1
MIDDLE = np.float32(0.5 - 2.0**-25)  # of the 2^24 numbers that `lanes.uniform` gives
HALF_ROOT = np.float32(0.5 / np.sqrt(2))  # of twice an exponential number, in a Laplace variable of variance 1


def uniform_pair(a, b):
    """Two numbers uniform in [-sqrt(3), sqrt(3)], from the top 24 bits of each word."""
    return (lanes.uniform(a) - MIDDLE) * WIDTH, (lanes.uniform(b) - MIDDLE) * WIDTH


def laplace_pair(a, b):
    """Two Laplace variables: the size from the top 31 bits of each word, the sign from the last."""
    return _laplace(a), _laplace(b)


def _laplace(word):
    return lanes.signed(lanes.twice_exponential(word) * HALF_ROOT, word << 31)


def student_pair(a, b, more_a, more_b, inverse, excess):
    """Two t variables: a radius from each first word, an angle from each second. inverse: 1/df; excess: df - 2."""
    return _student(a, more_a, inverse, excess), _student(b, more_b, inverse, excess)


def _student(word, more, inverse, excess):
    power = elementary.expm1_of_positive(lanes.twice_exponential(word) * inverse)
    return jnp.sqrt(power * excess) * lanes.sine(more)


def of_student(numbers):
    """1/df and df - 2. Raises ValueError unless df is above 2, where the variance is finite."""
    df = numbers["df"]
    doors.numbers("df", df, df.shape, low=2, high=1e6)
    return 1 / df, df - 2


def above_four(numbers):
    """Whether Student's fourth moment is finite: where df is above 4."""
    return numbers["df"] > 4


def contaminated_pair(a, b, more_a, more_b, share, narrow, wide):
    """Two normals from the first words, each of one of two widths; the second words say which."""
    first, second = lanes.normal_pair(a, b)
    return first * _width(more_a, share, narrow, wide), second * _width(more_b, share, narrow, wide)


def _width(word, share, narrow, wide):
    return jnp.where(lanes.fraction(word) < share, wide, narrow)


def of_contaminated(numbers):
    """share, and the two widths. Raises ValueError unless share is in [0, 1] and factor is positive."""
    share, factor = numbers["share"], numbers["factor"]
    doors.numbers("share", share, share.shape, low=0, high=1, closed=True)
    doors.numbers("factor", factor, factor.shape, low=0, high=1e6)
    narrow = 1 / np.sqrt(1 - share + share * factor**2)
    return share, narrow, narrow * factor


def of_outliers(numbers):
    """Nothing, since pairs are normal ones. Raises ValueError as `of_contaminated`, which has the widths."""
    of_contaminated(numbers)
    return ()


NOISES: dict[str, Noise] = {
    "gaussian": Noise(lanes.normal_pair, "Gaussian noise", gaussian=True),
    "uniform": Noise(uniform_pair, "uniform noise"),
    "laplace": Noise(laplace_pair, "Laplace noise"),
    "student": Noise(
        student_pair,
        "Student's t noise (df), coordinates independent",
        draws=2,
        numbers=(("df", 5.0),),
        told=of_student,
        fourth=above_four,
    ),
    "contaminated": Noise(
        contaminated_pair,
        "contaminated Gaussian noise (share, factor), coordinate by coordinate",
        draws=2,
        numbers=(("share", 0.05), ("factor", 5.0)),
        told=of_contaminated,
    ),
    "outliers": Noise(
        lanes.normal_pair,
        "contaminated Gaussian noise (share, factor), sample by sample",
        numbers=(("share", 0.05), ("factor", 5.0)),
        told=of_outliers,
        widths=of_contaminated,
    ),
}


def of(noise: Noise | str, numbers: Mapping[str, Numbers] | None = None) -> Noise:
    """The noise of this name, or the noise itself, with these of its numbers: each one for all runs, or one a run.

    `noise.of("student", {"df": 3.0})`. Raises ValueError for a name or number that there is not.
    """
    noise = named.load("noise", noise) if isinstance(noise, str) else noise
    doors.kind("noise", noise, Noise, "of jgmm.noise")
    known, given = dict(noise.numbers), dict(numbers or {})
    if unknown := set(given) - set(known):
        raise ValueError(f"{min(unknown)} is no number of the noise's, expected {sorted(known) or 'none'}")
    return noise._replace(numbers=tuple({**known, **given}.items()))


def told(noise: Noise, runs: int) -> np.ndarray:
    """What the noise's `pair` is told, float32, (numbers, runs). Raises ValueError for numbers that it cannot have."""
    rows = noise.told({name: doors.numbers(name, value, (), (runs,)) for name, value in noise.numbers})
    return np.array([np.broadcast_to(row, (runs,)) for row in rows], np.float32).reshape(len(rows), runs)


def widths(noise: Noise, runs: int) -> Widths | None:
    """How wide whole samples are, each of shape (runs,); None of a noise whose samples are all of one width."""
    if noise.widths is None:
        return None
    rows = noise.widths({name: doors.numbers(name, value, (), (runs,)) for name, value in noise.numbers})
    return Widths(*(np.broadcast_to(row, (runs,)) for row in rows))
