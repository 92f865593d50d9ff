r"""Standard errors, intervals and exponents of Monte-Carlo studies; NumPy in, NumPy out.

Symbols: n runs, v_r the value of run r, m the mean, s^2 = sum (v_r - m)^2 / (n - 1). Runs are independent; the cells
of one run need not be, because they may share random numbers. Every estimate leaves with its standard error.

Exponents: the truth log(3N)/N, fitted by a pure power over N = 2^10..2^20, gives -0.911 +- 0.0004 at 100,000 runs and
would "refute" -1. So `fit` tries rival families, holds out the largest sizes, and claims an exponent only where the
families that survive agree on it.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from jgmm.stats import skewed

RESOLUTION = 0.03  # families whose exponents differ by less are one answer
REJECTED = 0.025  # each of the two tests of a family, 5 % together (Bonferroni)
OPEN = 0.001  # a family rejected between the two may be the true one: it is not admitted, but can still object
DECIDED = 1e-12  # below it a rejection is no accident of this sample
BATCHES = 400  # the bootstrap resamples at most so many batches: 400 give its standard deviation to 3.5 %
SEED = 20240607  # of the bootstrap: the same data give the same interval
FLOORS = ("power-floor", "power-log-floor")
UNITS = 3.0  # log log(k x) is as good as log log x for 1/UNITS <= k <= UNITS
ROUNDING = 1e-6  # the least relative standard error: runs that agree exactly still carry float32's rounding
WIDEST = 2.0  # an interval of an exponent that is wider tells nothing, and is none
LEAST_RUNS = 5  # for an interval of the mean of squared errors
EVENTS = 10  # runs that carry a variance, for an interval made of it: 10 equal ones know it to a third


class Mean(NamedTuple):
    """An estimate, its standard error, and the number of runs behind it."""

    value: float
    standard_error: float
    runs: int


class Controlled(NamedTuple):
    """A mean with a control variate; variance_factor is the plain variance over the controlled one."""

    value: float
    standard_error: float
    coefficient: float
    variance_factor: float


class Interval(NamedTuple):
    """An estimate between its two confidence limits."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """A comparison of two paired samples (a difference or a ratio) and the correlation that pairing used."""

    value: float
    standard_error: float
    correlation: float


class Local(NamedTuple):
    """Exponents between neighbouring sizes, each at the geometric midpoint of the two."""

    x: np.ndarray
    exponent: np.ndarray
    standard_error: np.ndarray


class FamilyFit(NamedTuple):
    """One family: its exponent, its misfit per degree of freedom, and its error on the largest sizes, unseen."""

    family: str
    exponent: float
    low: float
    high: float
    chi2_df: float
    p_value: float
    heldout: float
    admitted: bool


class Fit(NamedTuple):
    """What the sizes say about the exponent; family is "undetermined" where they do not decide."""

    family: str
    exponent: float
    low: float
    high: float
    ols_exponent: float
    chi2_df: float
    candidates: tuple[FamilyFit, ...]


def mean(values: ArrayLike) -> Mean:
    """The mean and s / sqrt(n); the standard error of one run is nan. Raises ValueError without runs."""
    v = _sample(values, 1)
    error = v.std(ddof=1) / np.sqrt(len(v)) if len(v) > 1 else np.nan
    return Mean(float(v.mean()), float(error), len(v))


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval | None:
    """The mean between its confidence limits; None where the runs cannot tell.

    Squared errors (all above 0) are taken for gamma runs of unknown shape, as in `skewed`: right for sums of squared
    Gaussians, chi^2_1 included, and near enough for a lognormal with sigma = 1 (covered: 93.5 to 97 % at 5 to 256 runs,
    benchmarks/coverage.py). Runs of both signs (differences, control variates) get Student's t, widened for their
    skewness.

    None: fewer than LEAST_RUNS, which leave a squared error open upwards by orders of magnitude; a mean that few runs
    carry (`carried_by_few`; of both signs: `effective_runs` below EVENTS, or n/4); runs of 0 among positive ones, which
    no gamma law has; runs that are all 0. Raises ValueError without runs, for values that are not finite, or a level
    outside (0, 1).
    """
    v = _finite(_sample(values, 1))
    _inside("level", level)
    tail = (1 - level) / 2
    if v.min() < 0:
        if _few(v):
            return None
        reach = float(student_reach(v, tail))
        return Interval(float(v.mean()), float(v.mean() - reach), float(v.mean() + reach))
    if len(v) < LEAST_RUNS or v.min() == 0 or carried_by_few(v):
        return None
    low, high = skewed.limits(skewed.shape(v), tail)
    return Interval(float(v.mean()), low, high) if np.isfinite(high) else None


def effective_runs(values: ArrayLike) -> float:
    """(sum e^2)^2 / sum e^4 with e = v - m: how many runs carry the variance, 0 if there is none.

    It is j if j of many runs have one e and the others none, and n/3 for normal runs. A rare event that no run or one
    has seen leaves a standard error of nearly nothing: of 256 runs that each have it with chance 1/256 the t interval
    covers in 60 %. Raises ValueError without runs.
    """
    v = _sample(values, 1)
    squares = (v - v.mean()) ** 2
    fourth = float(squares @ squares)
    return float(squares.sum() ** 2 / fourth) if fourth > 0 else 0.0


def _few(v: np.ndarray) -> bool:
    return len(v) < LEAST_RUNS or effective_runs(v) < min(EVENTS, len(v) / 4)


class Tails(NamedTuple):
    """How likely a sample as low is, if the truth is a given value or more, and one as high, if it is that or less."""

    low: float
    high: float


def mean_tails(values: ArrayLike, low: float, high: float, tail: float) -> Tails | None:
    """Is the mean between low and high (it may be one number)? Outside if one of the two is below `tail`.

    As `mean_interval`, and None as there; but errors are not taken for gamma runs where they may be lognormal
    (`skewed.shape`): tails of 1e-4 are held by that, 95 % need it not. Raises ValueError as it does.
    """
    v = _finite(_sample(values, 1))
    _inside("tail", tail)
    if v.min() < 0:
        if _few(v):
            return None
        scale = float(student_reach(v, tail)) / _student(tail, len(v) - 1)
        gaps = np.array([low - v.mean(), v.mean() - high]) / scale
        return Tails(*(float(p) for p in special.stdtr(len(v) - 1, -gaps)))
    if len(v) < LEAST_RUNS or v.min() == 0 or carried_by_few(v):
        return None
    below, above = skewed.tails(skewed.shape(v, cautious=True), np.maximum(low, 1e-300), np.maximum(high, 1e-300), tail)
    return Tails(float(below), float(above))


def contrast_interval(values: ArrayLike, contrast: ArrayLike, level: float = 0.95) -> Interval | None:
    """sum_i c_i log m_i between its limits, m_i the mean of values[i, r], sum c_i = 0: a slope, a step, a ratio's log.

    Student's t with the jackknife's error over runs (Efron and Stein 1981), which keeps what the cells of a run share,
    widened for the skewness of what the runs contribute, as in `skewed`. The delta method's error instead would exclude
    the truth 3 to 9 times too often at 8 and 16 runs of chi^2_1 or lognormal errors, or cells of unequal shapes; this
    one covers 95 to 97 % from 5 runs on (benchmarks/coverage.py).

    None where `mean_interval` has none for want of runs or because few carry a mean. Raises ValueError for values that
    are not (cells, runs), negative or not finite, contrasts of another length or sum, or a level outside (0, 1).
    """
    v, c = np.asarray(values, float), np.asarray(contrast, float)
    if v.ndim != 2 or c.shape != (len(v),) or abs(c.sum()) > 1e-9 * np.abs(c).sum():
        raise ValueError(f"contrasts sum to 0, one for each of (cells, runs), got {c} for shape {v.shape}")
    if not (np.isfinite(v).all() and (v >= 0).all()):
        raise ValueError("values are finite and at least 0")
    _inside("level", level)
    used = v[c != 0]
    if v.shape[1] < LEAST_RUNS or not (used > 0).any(axis=1).all() or any(carried_by_few(row) for row in used):
        return None
    value, parts = contrast_parts(used, c[c != 0])
    reach = max(float(student_reach(parts, (1 - level) / 2)), ROUNDING * float(np.abs(c).sum()))
    return Interval(float(value), float(value - reach), float(value + reach))


def contrast_parts(values: np.ndarray, contrast: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of values (..., cells, runs): the contrast of the log means, and the jackknife's pseudo-values, centred."""
    n = values.shape[-1]
    m = values.mean(axis=-1)
    without = contrast @ np.log((n * m[..., None] - values) / (n - 1))
    return np.log(m) @ contrast, (n - 1) * (without.mean(axis=-1, keepdims=True) - without)


def student_reach(values: np.ndarray, tail: float) -> np.ndarray:
    """t s / sqrt(n) over the last axis, widened as in `skewed` by the skewness: 1 + |g| (2 z^2 + 1) / (6 z sqrt(n))."""
    n = values.shape[-1]
    z = _normal(tail)
    centred = values - values.mean(axis=-1, keepdims=True)
    variance = np.maximum((centred**2).mean(axis=-1), np.finfo(float).tiny)
    skewness = np.abs(((centred / np.sqrt(variance)[..., None]) ** 3).mean(axis=-1))  # 0 where all runs are equal
    wider = 1 + skewness * (2 * z**2 + 1) / (6 * z * np.sqrt(n))
    return _student(tail, n - 1) * wider * np.sqrt(variance / (n - 1))


@lru_cache(maxsize=1024)  # of a tenth of a millisecond each
def _student(tail: float, freedom: int) -> float:
    """The number that Student's t exceeds with this chance."""
    return float(stats.t.isf(tail, freedom))


@lru_cache(maxsize=1024)
def _normal(tail: float) -> float:
    """The number that a standard normal exceeds with this chance."""
    return float(stats.norm.isf(tail))


def ratio_interval(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Interval | None:
    """mean(a) / mean(b) of paired runs, all at least 0, between its limits: exp of a contrast; None as there."""
    first, second = _pair(a, b)
    found = contrast_interval(np.stack([first, second]), [1.0, -1.0], level)
    return None if found is None else Interval(*(float(np.exp(end)) for end in found))


def root_mean(squares: ArrayLike) -> Mean:
    """sqrt(m) of squared errors, such as the RMSE; by the delta method its standard error is se(m) / (2 sqrt(m)).

    Raises ValueError without runs or for a negative square.
    """
    v = _sample(squares, 1)
    if v.min() < 0:
        raise ValueError(f"squares are at least 0, got {v.min()}")
    m = mean(v)
    root = np.sqrt(m.value)
    return Mean(float(root), float(m.standard_error / (2 * root)) if root > 0 else m.standard_error, m.runs)


def relative_deviation(values: ArrayLike) -> Mean:
    """s / m, with its jackknife standard error (Efron and Stein 1981): m is estimated too, and goes with s.

    Without run r the sum falls by v_r and the sum of squares by n/(n-1) (v_r - m)^2. The error is nan below three runs,
    or one above 0. It makes no interval: two of them cover 88, 91, 62 % at 64 runs of chi^2_1, chi^2_4 and lognormal
    errors. Raises ValueError below two runs, or unless all values are finite and at least 0, one above.
    """
    v = _finite(_sample(values, 2))
    if v.min() < 0 or not v.any():
        raise ValueError(f"values are at least 0, one of them above, got {v.min()} to {v.max()}")
    n, m = len(v), v.mean()
    squares = (v - m) ** 2
    value = float(np.sqrt(squares.sum() / (n - 1)) / m)
    if n < 3 or np.count_nonzero(v) < 2:
        return Mean(value, np.nan, n)
    means = (n * m - v) / (n - 1)
    without = np.sqrt(np.maximum(squares.sum() - n / (n - 1) * squares, 0) / (n - 2)) / means
    return Mean(value, float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())), n)


def controlled(values: ArrayLike, twin: ArrayLike, twin_mean: ArrayLike) -> Controlled:
    """The mean of v - c z with z = twin - twin_mean, whose expectation is 0, and c the slope of v on z.

    It is the intercept of the regression, and has its standard error (Lavenberg and Welch 1981):

        se^2 = S^2 (1/n + zbar^2 / sum (z_r - zbar)^2),      S^2 = residual sum of squares / (n - 2).

    twin_mean is a number or one per run (exact conditional means). A constant z controls nothing: c = 0, factor 1.
    Raises ValueError below three runs or for other lengths.
    """
    v, z, c, spread = _regression(values, twin, twin_mean)
    n = len(v)
    if spread == 0:
        return Controlled(float(v.mean()), float(v.std(ddof=1) / np.sqrt(n)), 0.0, 1.0)
    rest = v - v.mean() - c * (z - z.mean())
    variance = (rest @ rest) / (n - 2) * (1 / n + z.mean() ** 2 / spread)
    plain = v.var(ddof=1) / n
    factor = plain / variance if variance > 0 else (np.inf if plain > 0 else 1.0)
    return Controlled(float(v.mean() - c * z.mean()), float(np.sqrt(variance)), c, float(factor))


def controlled_interval(
    values: ArrayLike, twin: ArrayLike, twin_mean: ArrayLike, level: float = 0.95
) -> Interval | None:
    """The controlled mean between its limits: Student's t of n - 2 degrees of freedom, widened for skewness.

    Where a twin differs in rare runs only (a misassigned sample), few or none of them are in the sample, and the error
    of `controlled` is that of the runs without: at C = 8 it covers 3, 9, 25, 56 % at 5, 16, 64, 256 runs. None unless
    EVENTS runs carry what is left of the variance (`effective_runs`), and it is more than rounding: the plain mean's
    interval is right there. (A rule of three for the unseen runs would need their size, which none of them tells.)
    Covered in benchmarks/coverage.py: 93 to 97 % with the plain one in its place. Raises ValueError as `controlled`
    does.
    """
    found = controlled(values, twin, twin_mean)
    _inside("level", level)
    rest = controlled_values(values, twin, twin_mean)
    n, tail = len(rest), (1 - level) / 2
    if not controls(values, twin, twin_mean):
        return None
    wider = float(student_reach(rest, tail)) / (_student(tail, n - 1) * rest.std(ddof=1) / np.sqrt(n))
    reach = _student(tail, n - 2) * wider * found.standard_error
    return Interval(found.value, found.value - reach, found.value + reach)


def controls(values: ArrayLike, twin: ArrayLike, twin_mean: ArrayLike, events: int = EVENTS) -> bool:
    """Whether `events` runs or more carry what the twin leaves of the variance, and it is more than rounding."""
    rest = controlled_values(values, twin, twin_mean)
    return effective_runs(rest) >= events and bool(rest.std() > ROUNDING * np.abs(values).max())


def controlled_values(values: ArrayLike, twin: ArrayLike, twin_mean: ArrayLike) -> np.ndarray:
    """v - c (twin - twin_mean) per run, with the c of `controlled`; raises as it does."""
    v, z, c, _ = _regression(values, twin, twin_mean)
    return v - c * z


def quantile(values: ArrayLike, probability: float, level: float = 0.95) -> Interval:
    """The sample quantile between two order statistics, for any distribution (David and Nagaraja 2003, chapter 7).

    With B ~ Binomial(n, p):  P(v_(l) <= q <= v_(u)) >= P(l <= B <= u - 1) >= level. It covers at least at its level:
    B is whole, so a median at 95 % is covered in 96.9 % by 6 runs, 99.2 % by 8, 96.7 % by 64. Where n is too small for
    l >= 1 and u <= n (a median at 95 %: below 6 runs) no order statistics reach the level, and both ends are nan.
    Raises ValueError without runs or for a probability or level outside (0, 1).
    """
    v = np.sort(_sample(values, 1))
    _inside("probability", probability)
    _inside("level", level)
    low, high = _ranks(len(v), probability, (1 - level) / 2)
    reached = low >= 1 and high <= len(v)
    ends = (v[low - 1], v[high - 1]) if reached else (np.nan, np.nan)
    return Interval(float(np.quantile(v, probability)), float(ends[0]), float(ends[1]))


@lru_cache(maxsize=1024)
def _ranks(n: int, probability: float, tail: float) -> tuple[int, int]:
    """The l and u of `quantile`."""
    low, high = stats.binom.ppf([tail, 1 - tail], n, probability)
    return int(low), int(high) + 1


def proportion(hits: int, n: int, level: float = 0.95) -> Interval:
    """hits / n and its exact interval (Clopper and Pearson 1934), which has width at 0 of n and at n of n too.

    It covers at least at its level, whatever the share: hits are whole, so no interval does so at its level exactly.
    Wilson's, which does on average, covers 85 % at 16 runs of probability 0.99 (benchmarks/coverage.py).

    Raises ValueError for n < 1, hits outside 0..n, or a level outside (0, 1).
    """
    if n < 1 or not 0 <= hits <= n:
        raise ValueError(f"hits lie in 0..n and n is at least 1, got {hits} of {n}")
    _inside("level", level)
    tail = (1 - level) / 2
    low = float(special.betaincinv(hits, n - hits + 1, tail)) if hits else 0.0
    high = float(special.betainccinv(hits + 1, n - hits, tail)) if hits < n else 1.0
    return Interval(hits / n, low, high)


def paired_difference(a: ArrayLike, b: ArrayLike) -> Difference:
    """mean(a - b) over runs that share their random numbers; raises ValueError below two runs or for other lengths."""
    first, second = _pair(a, b)
    d = mean(first - second)
    return Difference(d.value, d.standard_error, _correlation(first, second))


def ratio(a: ArrayLike, b: ArrayLike) -> Difference:
    """R = mean(a) / mean(b) of paired runs; by the delta method se = sd(a - R b) / (sqrt(n) |mean(b)|).

    Raises ValueError below two runs, for other lengths, or if mean(b) is 0.
    """
    first, second = _pair(a, b)
    if second.mean() == 0:
        raise ValueError("the denominator has mean 0")
    value = first.mean() / second.mean()
    error = mean(first - value * second).standard_error / abs(second.mean())
    return Difference(float(value), float(error), _correlation(first, second))


def squared_length(vectors: ArrayLike) -> Mean:
    r"""|E v|^2 without the bias tr(S)/n of |mean|^2: the mean of v_r . v_q over all pairs of different runs.

    It is a U-statistic, of variance (Hoeffding 1948), with m = E v and S the covariance of v,

        4 m'Sm / n + 2 tr(S^2) / (n (n-1)).

    In m'Sm the sample mean adds tr(S^2)/n, and in tr(S^2) the sample covariance adds (tr(S^2) + tr(S)^2)/(n-1), both
    removed (the second exactly for normal runs: Bai and Saranadasa 1996; without it p = n would double the
    error). Below zero the first term counts as 0, which leaves the error on the large side where E v = 0: 1.3 times in
    the root mean square. The value may be negative. Raises ValueError unless vectors have
    shape (runs, p) with at least three runs.
    """
    found = _length(vectors)
    n = found.runs
    variance = 4 * max(found.along - found.square / n, 0.0) / n + 2 * found.square / (n * (n - 1))
    return Mean(found.value, float(np.sqrt(variance)), n)


def length_tails(vectors: ArrayLike, low: float, high: float, tail: float) -> Tails | None:
    """Is |E v|^2 between low and high? As `mean_tails`, with the standard error that the value in question has.

    The error of `squared_length` is small where the length came out short: its t test would exclude lengths above the
    truth 100 times too often. With L in question, r the variance along m and S that of v, the variance is

        4 L r / n + 2 tr(S^2) / n^2,      the third cumulant 24 L r^2 / n^2 + 8 tr(S^3) / n^3,

    with tr(S^2)^2 / tr(S) in the place of tr(S^3), and the upper tail is widened by the skewness g of these (Cornish
    and Fisher 1937): 1 + g (z^2 - 1) / (6 z). None below LEAST_RUNS or where few runs carry sum |v|^2. Raises
    ValueError as `squared_length` does.
    """
    found = _length(vectors)
    _inside("tail", tail)
    n, z = found.runs, _normal(tail)
    if n < LEAST_RUNS or found.effective < min(EVENTS, n / 4):
        return None
    spread = max(found.along / max(found.length, 1e-300), found.square / found.trace)

    def chance(sign: int, length: float) -> float:
        error = np.sqrt(4 * max(length, 0.0) * spread / n + 2 * found.square / n**2)
        third = 24 * max(length, 0.0) * spread**2 / n**2 + 8 * found.square**2 / found.trace / n**3
        wider = 1 + third / error**3 * (z**2 - 1) / (6 * z) if sign > 0 and z > 1 else 1.0
        return float(special.stdtr(n - 1, -sign * (found.value - length) / (error * wider)))

    return Tails(chance(-1, low), chance(1, high))


class _Length(NamedTuple):
    value: float
    length: float  # |m|^2 of the sample mean m
    along: float  # m'Sm
    trace: float  # of S
    square: float  # tr(S^2), without bias
    effective: float
    runs: int


def _length(vectors: ArrayLike) -> _Length:
    v = np.asarray(vectors, float)
    if v.ndim != 2 or len(v) < 3:
        raise ValueError(f"vectors have shape (runs, p) with at least 3 runs, got {v.shape}")
    n = len(v)
    total = v.sum(axis=0)
    value = (total @ total - (v * v).sum()) / (n * (n - 1))
    centred = v - total / n
    gram = centred.T @ centred if v.shape[1] <= n else centred @ centred.T  # the same trace and trace of the square
    trace = np.trace(gram) / (n - 1)
    square = (n - 1) ** 2 / ((n - 2) * (n + 1)) * ((gram**2).sum() / (n - 1) ** 2 - trace**2 / (n - 1))
    along = np.var(centred @ (total / n), ddof=1)
    squares = (centred**2).sum(axis=1)
    fourth = float(squares @ squares)
    effective = squares.sum() ** 2 / fourth if fourth > 0 else 0.0
    length = float(total @ total) / n**2
    return _Length(float(value), length, float(along), float(trace), max(float(square), 0.0), float(effective), n)


def look_level(look: int, alpha: float = 0.05) -> float:
    """The level of the look-th look at growing data: alpha / (look (look + 1)), look = 1, 2, ...

    1/(j(j+1)) = 1/j - 1/(j+1), so J looks spend alpha J/(J+1) < alpha together whatever J is: by the union bound the
    chance of any false verdict stays below alpha, and nobody needs to declare the number of looks in advance. Raises
    ValueError for look < 1 or alpha outside (0, 1).
    """
    if look < 1:
        raise ValueError(f"looks count from 1, got {look}")
    _inside("alpha", alpha)
    return alpha / (look * (look + 1))


def carried_by_few(values: ArrayLike) -> bool:
    """Whether the largest 2 % of the runs (at least one) hold more than half of the sum of |v|, and 5 means each.

    Such a mean is the rate of a rare failure times its size: its s / sqrt(n) is not to be believed and an exponent
    fitted to it is the failure's. Of a lognormal with sigma = 1 the largest 2 % hold 15 %, of a chi-square with one
    degree of freedom 13 %. Raises ValueError without runs.
    """
    v = np.sort(np.abs(_sample(values, 1)))
    largest = v[len(v) - max(1, int(np.ceil(0.02 * len(v)))) :]
    return bool(largest.sum() > 0.5 * v.sum() and largest.mean() > 5 * v.mean())


def batches(values: ArrayLike, count: int = BATCHES) -> np.ndarray:
    """Means of consecutive runs, (cells, runs) -> (cells, count); fewer runs than count are kept as they are.

    No run is dropped: the sizes of the batches differ by at most one (`batch_sizes`), and weighted by them the means
    have the mean of all runs. Raises ValueError unless values have two axes and runs, and count is positive.
    """
    v = np.asarray(values, float)
    if v.ndim != 2 or v.shape[1] < 1 or count < 1:
        raise ValueError(f"values have shape (cells, runs) and count is at least 1, got {v.shape} and {count}")
    sizes = batch_sizes(v.shape[1], count)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return np.add.reduceat(v, starts, axis=1) / sizes[None]


def batch_sizes(runs: int, count: int = BATCHES) -> np.ndarray:
    """The number of runs in each batch of `batches`, as in np.array_split: the longer ones first."""
    number = min(runs, count)
    return np.full(number, runs // number) + (np.arange(number) < runs % number)


def local_exponents(x: ArrayLike, values: ArrayLike) -> Local:
    """log(m[i+1]/m[i]) / log(x[i+1]/x[i]) of the cell means m, with x sorted first.

    By the delta method var(log m[i+1] - log m[i]) = var_r(v[i+1]/m[i+1] - v[i]/m[i]) / n: the runs of neighbouring
    cells are subtracted before squaring, which keeps what they share. Raises ValueError as `fit` does, but from two
    sizes on.
    """
    sizes, v = _cells(x, values, 2)
    m = v.mean(axis=1)
    steps = np.diff(np.log(sizes))
    relative = np.diff(v / m[:, None], axis=0)
    return Local(
        np.sqrt(sizes[1:] * sizes[:-1]),
        np.diff(np.log(m)) / steps,
        relative.std(axis=1, ddof=1) / np.sqrt(v.shape[1]) / steps,
    )


class Moments(NamedTuple):
    """Log means of the cells without their bias, the covariance of these, and its degrees of freedom."""

    logs: np.ndarray  # (cells,), log x
    y: np.ndarray  # (cells,)
    covariance: np.ndarray  # (cells, cells)
    freedom: int
    full: bool  # whether the covariance off the diagonal is used

    @property
    def weights(self) -> np.ndarray:
        return 1 / np.diag(self.covariance)


def fit(x: ArrayLike, values: ArrayLike, *, resamples: int = 1000) -> Fit:
    r"""The exponent b of the mean of values[i, r] in x[i], or the statement that the sizes do not decide it.

    Families, by weighted least squares on log means with weights 1/var, from which the bias -var/2 is removed:

        power        a + b log x
        power-log    a + b log x + c log log x      all x > e, at least 4 sizes
        power-floor  log(A x^b + F), F >= 0         at least 4 sizes
        power-log-floor  log(A x^b log x + F)       all x > e, at least 4 sizes

    A family is admitted if neither test rejects it at 2.5 %: the generalised chi-square of its residuals, and its
    prediction of the largest third of the sizes from the others, standardised by the covariance of that prediction.
    Both are Hotelling's T^2, so that p is right at few runs. The chosen family is the admitted one that predicts best;
    to be admitted is to predict within the noise, so that power, if admitted, is never more than a near tie behind,
    and has fewer parameters.

    Its exponent is claimed (measured: `test_the_claimed_exponent_covers_the_truth`) if

    1. every open family, one that neither test rejects at OPEN, agrees on it to within RESOLUTION;
    2. no simpler family is open: a true power that is rejected at 2 % leaves a power-log which is only admitted
       because it bends where the sample does, and its interval then misses;
    3. no family that is not rejected below DECIDED has an interval of more than +- RESOLUTION. Power-log at 200 runs
       has a standard error of 0.1: it would agree with a wrong power by accident in one study of five, or be rejected
       by accident and leave the wrong one. Precision is what luck does not give.

    A family that is the only one not rejected below DECIDED is claimed however wide its interval. Three sizes leave
    no room for rivals and claim nothing. Otherwise family is "undetermined", exponent that of the chosen family, and
    low and high the hull of the intervals of the open families, nan if none is admitted or it is wider than WIDEST.

    log(3x)/x + F is no power-log-floor, whose logarithm has no unit: of 20,000 runs at 11 sizes a sixth see that, admit
    no family, and have no interval. What a claim cannot exclude is a family that is not in the list, or a rival whose
    exponent is nearer than RESOLUTION. Raises ValueError for fewer than three sizes, sizes that repeat or are not
    positive, fewer than two runs, values that are negative or not finite, or a cell whose mean is 0.
    """
    sizes, v = _cells(x, values, 3)
    counts = batch_sizes(v.shape[1])
    means = batches(v)
    moments = _moments(np.log(sizes), means, counts)
    families = _families(sizes)
    replicas = _resample(means, counts, resamples)
    tried = [_try_family(family, moments, replicas) for family in families]
    candidates = tuple(trial.fit for trial in tried)
    admitted = [trial for trial in tried if trial.fit.admitted]
    chosen = _choose(admitted or tried).fit
    ols = float(np.polyfit(moments.logs, moments.y, 1)[0])
    if not admitted:
        return Fit("undetermined", chosen.exponent, np.nan, np.nan, ols, chosen.chi2_df, candidates)
    if len(families) > 1 and _claims(chosen, tried) and chosen.high - chosen.low <= WIDEST:
        return Fit(chosen.family, chosen.exponent, chosen.low, chosen.high, ols, chosen.chi2_df, candidates)
    still_open = [trial.fit for trial in tried if trial.worst_p >= OPEN]
    low, high = min(candidate.low for candidate in still_open), max(candidate.high for candidate in still_open)
    if not high - low <= WIDEST:
        low, high = np.nan, np.nan
    return Fit("undetermined", chosen.exponent, low, high, ols, chosen.chi2_df, candidates)


class Trial(NamedTuple):
    """A family and what decides about it."""

    fit: FamilyFit
    squared_error: float  # held-out, of the log mean
    worst_p: float  # the lesser p of its two tests
    half_width: float  # t times the standard error of its exponent


def _choose(trials: list[Trial]) -> Trial:
    """Power if it is there; else the best prediction, of power-log-floor only where neither of its parts will do."""
    if trials[0].fit.family == "power":
        return trials[0]
    simpler = [trial for trial in trials if trial.fit.family != "power-log-floor"]
    return min(simpler or trials, key=lambda trial: trial.squared_error)


def _claims(chosen: FamilyFit, tried: list[Trial]) -> bool:
    """The three conditions of `fit`, or a single family left."""
    possible = [trial for trial in tried if trial.worst_p >= DECIDED]
    still_open = [trial.fit for trial in tried if trial.worst_p >= OPEN]
    agree = all(abs(candidate.exponent - chosen.exponent) <= RESOLUTION for candidate in still_open)
    simplest = chosen.family == "power" or still_open[0].family != "power"
    precise = all(trial.half_width <= RESOLUTION for trial in possible)
    return len(possible) == 1 or (agree and simplest and precise)


def _families(sizes: np.ndarray) -> tuple[str, ...]:
    if len(sizes) < 4:
        return ("power",)
    return ("power", "power-log", "power-floor", "power-log-floor") if sizes[0] > np.e else ("power", "power-floor")


def _moments(logs: np.ndarray, means: np.ndarray, counts: np.ndarray) -> Moments:
    """sum_b n_b (v_b - m)(v_b - m)' / (B - 1) is unbiased for the covariance of one run, whatever the sizes n_b."""
    n, number = counts.sum(), len(counts)
    m = (means * counts).sum(axis=1) / n
    relative = (means / m[:, None] - 1) * np.sqrt(counts)
    covariance = relative @ relative.T / (number - 1) / n + ROUNDING**2 * np.eye(len(m))
    # Hotelling's test wants many more runs than cells; before that the diagonal, which is conservative where shared
    # random numbers correlate the cells positively: their contrasts vary less than it says.
    full = number >= 3 * len(m)
    if not full:
        covariance = np.diag(np.diag(covariance))
    return Moments(logs, np.log(m) + np.diag(covariance) / 2, covariance, number - 1, full)


def _resample(means: np.ndarray, counts: np.ndarray, resamples: int) -> np.ndarray:
    """Log means of bootstrap samples, (resamples, cells): the same resampled runs in every cell."""
    number = len(counts)
    drawn = np.random.default_rng(SEED).integers(number, size=(resamples, number))
    drawn += number * np.arange(resamples)[:, None]
    times = np.bincount(drawn.ravel(), minlength=resamples * number).reshape(resamples, number) * counts
    m = (times @ means.T) / times.sum(axis=1)[:, None]
    return np.log(np.maximum(m, np.finfo(float).tiny))  # all runs drawn may be 0, then the interval is as wide as it is


def _try_family(family: str, moments: Moments, replicas: np.ndarray) -> Trial:
    """The family fitted to all sizes, and fitted to the smaller two thirds to predict the others."""
    cells = len(moments.y)
    first = cells - max(1, cells // 3)
    everything, train = np.arange(cells), np.arange(first)
    theta, residuals, jacobian = _solve(family, moments, everything)
    contrasts = np.linalg.svd(jacobian)[0][:, jacobian.shape[1] :].T
    chi2_df, p_value = _hotelling(contrasts @ residuals, contrasts @ moments.covariance @ contrasts.T, moments)

    small, errors, jacobian = _solve(family, moments, train)
    if family in FLOORS and jacobian.shape[1] == 2 and errors[first:].sum() > 0:
        # The smaller sizes may lie above a floor that the larger ones reach: their F = 0 is uncertain upwards. Without
        # this a late floor (1/N + 1e-7, 2000 runs) was rejected in 30 % of studies.
        centred = moments.logs - moments.logs.mean()
        jacobian = _floor(centred, small[None], moments.y.min(), _extra(family, moments.logs))[1][0]
    roots = np.sqrt(moments.weights[:first])
    predict = jacobian[first:] @ np.linalg.pinv(roots[:, None] * jacobian[:first]) * roots
    unseen = np.concatenate([-predict, np.eye(cells - first)], axis=1)
    spread = unseen @ moments.covariance @ unseen.T
    heldout, p_heldout = _hotelling(errors[first:], spread, moments)

    low, high, half_width = _interval(family, theta, moments, replicas)
    worst = min(p_value, p_heldout)
    candidate = FamilyFit(
        family, float(theta[1]), low, high, chi2_df, p_value, float(np.sqrt(heldout)), bool(worst >= REJECTED)
    )
    return Trial(candidate, float(np.mean(errors[first:] ** 2)), worst, half_width)


def _hotelling(residuals: np.ndarray, covariance: np.ndarray, moments: Moments) -> tuple[float, float]:
    """T^2 scaled to an F of expectation near 1, and its p: T^2 (nu-p+1)/(nu p) ~ F(p, nu-p+1) (Hotelling 1931).

    With the diagonal alone F(p, nu), which is heavier than the truth. Directions without variance (cells whose runs
    agree but for rounding) are left out: what they say is rounding's.
    """
    sizes, directions = np.linalg.eigh(covariance)
    kept = sizes > max(1e-10 * sizes[-1], ROUNDING**2 / 100)
    p, nu = int(kept.sum()), moments.freedom
    if p == 0:  # no variance at all: rounding fits, anything else does not
        return (0.0, 1.0) if np.abs(residuals).max() < 1e-6 else (np.inf, 0.0)
    square = float(np.sum((directions.T @ residuals)[kept] ** 2 / sizes[kept]))
    second = nu - p + 1 if moments.full else nu
    f = square / p * (second / nu)
    return f, float(special.fdtrc(p, second, f))


def _design(family: str, logs: np.ndarray, unit: float = 1.0) -> np.ndarray:
    """Columns of a linear family; log x is centred, which moves the first coefficient only."""
    columns = [np.ones_like(logs), logs - logs.mean()]
    return np.stack([*columns, np.log(logs + np.log(unit))] if family == "power-log" else columns, axis=1)


def _extra(family: str, logs: np.ndarray, unit: float = 1.0) -> np.ndarray:
    """What a family with a floor adds to the logarithm of its power: log log(k x), or nothing."""
    return np.log(logs + np.log(unit)) if family == "power-log-floor" else np.zeros_like(logs)


def _solve(
    family: str, moments: Moments, train: np.ndarray, unit: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parameters fitted to the sizes in train; residuals and Jacobian at all sizes."""
    y, weights = moments.y, moments.weights[train]
    if family not in FLOORS:
        design = _design(family, moments.logs)
        theta = _least_squares(design[train], weights) @ y[train]
        return theta, y - design @ theta, design
    extra = _extra(family, moments.logs, unit)
    scale = y.min()
    centred = moments.logs - moments.logs.mean()
    starts = _floor_starts(centred[train], y[train], weights, scale, extra[train])
    many = np.broadcast_to(y[train], (len(starts), len(train)))
    thetas = _floor_fit(centred[train], many, weights, scale, starts, extra[train])
    costs = (weights * (y[train] - _floor(centred[train], thetas, scale, extra[train])[0]) ** 2).sum(axis=1)
    theta = thetas[[np.argmin(costs)]]
    prediction, jacobian = _floor(centred, theta, scale, extra)
    # On the bound F = 0 the family is the power: to let F move would forgive a curvature that F >= 0 cannot have.
    free = 3 if theta[0, 2] > 0 else 2
    return theta[0], y - prediction[0], jacobian[0][:, :free]


def _least_squares(design: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The matrix that takes y to its weighted least-squares coefficients."""
    roots = np.sqrt(weights)
    return np.linalg.pinv(roots[:, None] * design) * roots


def _interval(family: str, theta: np.ndarray, moments: Moments, replicas: np.ndarray) -> tuple[float, float, float]:
    """b -+ t SD of b over the bootstrap, and t SD; t and B/(B-1) because percentiles are too narrow at few runs.

    Resampling B runs has the variance s^2 (B-1)/B, and its percentiles are those of a normal law, not of Student's.

    The b of power-log depends on the unit of x: over 2^10..2^20 the law log(3N)/N has b = -1 with log log 3N, but
    -0.991 with log log N, and no residual above 0.0004 to tell. So its b is known only up to the units between 1/UNITS
    and UNITS (less where log(k x) would fall below 1), a set with two ends. The interval covers every point of the
    set with 95 %, with the t of Imbens and Manski 2004: T(t + width / SD) - T(-t) = 0.95. A width that may be
    noise must not lessen t (Stoye 2009), so two of its standard deviations are taken off.
    """
    nu = moments.freedom
    correction = np.sqrt((nu + 1) / nu)
    y = replicas + np.diag(moments.covariance) / 2
    least = max(1 / UNITS, np.exp(1 - moments.logs[0]))
    if family in FLOORS:
        centred = moments.logs - moments.logs.mean()
        starts, extra = np.broadcast_to(theta, (len(y), 3)), _extra(family, moments.logs)
        exponents = _floor_fit(centred, y, moments.weights, moments.y.min(), starts, extra, iterations=6)[:, 1]
        half = float(stats.t.ppf(0.975, nu) * max(exponents.std(ddof=1), ROUNDING) * correction)
        every = np.arange(len(moments.y))
        others = [least, UNITS] if family == "power-log-floor" else []
        known = [theta[1], *(_solve(family, moments, every, unit)[0][1] for unit in others)]
        return float(min(known) - half), float(max(known) + half), half
    units = (least, UNITS) if family == "power-log" else (1.0, 1.0)
    slopes = np.stack([_least_squares(_design(family, moments.logs, unit), moments.weights)[1] for unit in units])
    ends = slopes @ moments.y
    replicated = y @ slopes.T
    errors = np.maximum(replicated.std(axis=0, ddof=1), ROUNDING) * correction
    width = abs(ends[1] - ends[0]) - 2 * (replicated[:, 1] - replicated[:, 0]).std(ddof=1)
    t = _set_quantile(max(width, 0) / errors.max(), nu)
    half = float(stats.t.ppf(0.975, nu) * errors.max())
    return float((ends - t * errors).min()), float((ends + t * errors).max()), half


def _set_quantile(width: float, nu: int) -> float:
    """The t with T(t + width) - T(-t) = 0.95: the two-sided quantile at width 0, the one-sided one for a wide set."""
    ends = _student(0.05, nu), _student(0.025, nu)
    return float(
        optimize.brentq(
            lambda t: special.stdtr(nu, t + width) - special.stdtr(nu, -t) - 0.95, ends[0] - 1e-9, ends[1] + 1e-9
        )
    )


def _floor(logs: np.ndarray, theta: np.ndarray, scale: float, extra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log(exp(a + b log x + extra) + f e^scale), (fits, cells), its derivatives, (fits, cells, 3); theta (fits, 3)."""
    power = np.exp(theta[:, :1] + theta[:, 1:2] * logs[None] + extra[None] - scale)
    total = power + theta[:, 2:]
    share = power / total
    return scale + np.log(total), np.stack([share, share * logs[None], 1 / total], axis=2)


def _floor_starts(logs: np.ndarray, y: np.ndarray, weights: np.ndarray, scale: float, extra: np.ndarray) -> np.ndarray:
    """Power fits to what is left above floors of 0, 1/2, 0.9 and 0.99 of the least mean."""
    solve = _least_squares(np.stack([np.ones_like(logs), logs], axis=1), weights)
    floors = np.array([0.0, 0.5, 0.9, 0.99])
    above = np.log(np.exp(y - scale)[None] - floors[:, None]) + scale - extra[None]
    return np.concatenate([above @ solve.T, floors[:, None]], axis=1)


def _floor_fit(
    logs: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray,
    scale: float,
    starts: np.ndarray,
    extra: np.ndarray,
    iterations: int = 30,
) -> np.ndarray:
    """Levenberg and Marquardt's steps for all rows of y at once, with f >= 0; theta of shape (fits, 3).

    A step that would cross f = 0 stops there, and the other two parameters solve what is left: with one bound that
    is the exact solution of the quadratic model.
    """
    w = weights / weights.max()
    theta = np.array(starts, float)
    damping = np.full(len(theta), 1e-4)
    active = np.arange(len(theta))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        value, jacobian = _floor(logs, theta, scale, extra)
        cost = (w * (y - value) ** 2).sum(axis=1)
        for _ in range(iterations):
            weighted = jacobian * w[None, :, None]
            normal = np.swapaxes(weighted, 1, 2) @ jacobian
            gradient = (weighted * (y[active] - value)[:, :, None]).sum(axis=1)
            diagonal = np.arange(3)
            normal[:, diagonal, diagonal] *= 1 + damping[active, None]
            normal[:, diagonal, diagonal] += 1e-14
            step = np.linalg.solve(normal, gradient[:, :, None])[:, :, 0]
            current = theta[active]
            crossing = current[:, 2] + step[:, 2] < 0
            left = gradient[:, :2] + normal[:, :2, 2] * current[:, 2:]
            bound = np.linalg.solve(normal[:, :2, :2], left[:, :, None])[:, :, 0]
            step = np.where(crossing[:, None], np.concatenate([bound, -current[:, 2:]], axis=1), step)
            trial = current + step
            new_value, new_jacobian = _floor(logs, trial, scale, extra)
            new_cost = (w * (y[active] - new_value) ** 2).sum(axis=1)
            better = new_cost <= cost[active]
            theta[active[better]] = trial[better]
            cost[active[better]] = new_cost[better]
            damping[active] = np.where(better, damping[active] / 10, damping[active] * 10)
            moving = (np.abs(step).max(axis=1) > 1e-9) & (damping[active] < 1e8)
            value = np.where(better[:, None], new_value, value)[moving]
            jacobian = np.where(better[:, None, None], new_jacobian, jacobian)[moving]
            active = active[moving]
            if not len(active):
                break
    return theta


def _sample(values: ArrayLike, least: int) -> np.ndarray:
    v = np.asarray(values, float)
    if v.ndim != 1 or len(v) < least:
        raise ValueError(f"values have one axis of at least {least} runs, got shape {v.shape}")
    return v


def _finite(v: np.ndarray) -> np.ndarray:
    if not np.isfinite(v).all():
        raise ValueError(f"values are finite, got {v[~np.isfinite(v)][0]}")
    return v


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    first, second = _sample(a, 2), _sample(b, 2)
    if len(first) != len(second):
        raise ValueError(f"paired runs are equally many, got {len(first)} and {len(second)}")
    return first, second


def _regression(
    values: ArrayLike, twin: ArrayLike, twin_mean: ArrayLike
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """v, z = twin - twin_mean, the slope of v on z, and sum (z - zbar)^2, which is 0 for a constant z."""
    v, t = _sample(values, 3), _sample(twin, 3)
    expected = np.asarray(twin_mean, float)
    if len(v) != len(t) or expected.shape not in ((), v.shape):
        raise ValueError(f"values, twin and twin_mean have as many runs, got {len(v)}, {len(t)} and {expected.shape}")
    z = t - expected
    centred = z - z.mean()
    spread = float(centred @ centred)
    size = np.finfo(float).eps * (np.abs(t).max() + np.abs(expected).max())  # what rounding alone may leave
    if spread <= len(z) * (4 * size) ** 2:
        return v, z, 0.0, 0.0
    return v, z, float(centred @ (v - v.mean()) / spread), spread


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """nan if one of the two is constant."""
    first, second = a - a.mean(), b - b.mean()
    size = np.sqrt((first @ first) * (second @ second))
    return float(np.clip(first @ second / size, -1, 1)) if size > 0 else np.nan


def _inside(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} lies in (0, 1), got {value}")


def _cells(x: ArrayLike, values: ArrayLike, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Sizes and their rows of values, sorted by size."""
    sizes, v = np.asarray(x, float), np.asarray(values, float)
    if sizes.ndim != 1 or v.ndim != 2 or len(v) != len(sizes):
        raise ValueError(f"values have shape (sizes, runs), got {v.shape} for sizes of shape {sizes.shape}")
    if len(np.unique(sizes)) < len(sizes) or len(sizes) < least or not (sizes > 0).all():
        raise ValueError(f"needs at least {least} different positive sizes, got {sizes}")
    if v.shape[1] < 2:
        raise ValueError(f"needs at least 2 runs, got {v.shape[1]}")
    if not (np.isfinite(v).all() and (v.mean(axis=1) > 0).all()):
        raise ValueError("values are finite, and their mean is above 0 in every cell")
    order = np.argsort(sizes)
    return sizes[order], v[order]
