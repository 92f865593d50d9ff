r"""exp, expm1, log, log1p, tanh, logistic, pow and rsqrt from + - * / sqrt, comparisons and integers alone.

A compiler's own differ from machine to machine; these give the same bits wherever multiply-adds are fused by one rule.

    exp     x = n ln 2 + r, |r| <= ln(2)/2:     e^x = 2^n (1 + p),  p = e^r - 1 = r + r^2 P(r)
    tanh    (1 - e)/(1 + e), e = e^{-2|x|} = 2^n + 2^n p
    log     x = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt(2):      ln x = e ln 2 + f + f^2 Q(f)
    pow     2^w, w = y log2 x;      log2 x = e + log2 c + K s + s^3 R(s^2) as a sum of two, K = 2/ln 2,
                              s = (m - c)/(m + c), m = 1 + f, c one of three numbers, so that |s| < 0.06

P, Q and R are of this project: minimax fits of the relative error (Remez exchange in 45 digits, the factor beside them
being exact), each coefficient then rounded; what they stand in errs by 2e-8, 4e-8 and 5e-12 (float64: 1e-18, 3e-17
and 6e-20), relatively. ERRORS holds the largest errors of the functions.

Nothing hangs on whether a product is rounded before it is added: where an error would matter, the factors have so few
bits that the product is exact. What is made an integer is in range, and NaN passes every clamp. Subnormal numbers are
as IEEE has them wherever the machine does not flush them (XLA on a CPU does: there they count as zeros).
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Integer

from jgmm.formats import FORMATS, Format

# The largest errors, in units in the last place of the exact result: of float32 and of float64.
ERRORS = {
    "exp": (1.03, 1.1),
    "expm1": (1.7, 2),
    "log": (1.15, 1.1),
    "log1p": (1.8, 1.6),
    "tanh": (2, 2.2),
    "logistic": (1.8, 1.8),
    "pow": (1.8, 6),
    "rsqrt": (1.5, 1.5),
}


def exp(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """e^x."""
    form = _format(x)
    least, most = form.exp_range
    r, n = _reduce(_at_most(_at_least(x, least), most), form)
    return _scale(1 + _expm1_near_0(r, form), n, form)


def exp_of_negative(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """e^x of x <= 0: `exp` to the bit where that is a normal number, and about the smallest of them below."""
    form = _format(x)
    lowest = 1 - (form.one >> form.mantissa)  # the exponent of the smallest normal number
    r, n = _reduce(_at_least(x, lowest * sum(form.ln2)), form)
    return (1 + _expm1_near_0(r, form)) * _float((n << form.mantissa) + form.one)


def expm1(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """e^x - 1, to the last bits where x is small."""
    form = _format(x)
    r, n = _reduce(_at_most(_at_least(x, form.lost), form.exp_range[1]), form)
    half = _float((n << form.mantissa) + (form.one - (1 << form.mantissa)))  # of 2^n, which may be beyond the largest
    value = half * _expm1_near_0(r, form) + (half - 0.5)
    return _where(abs(x) < 0.5**form.mantissa, x, value + value)  # x itself: -0, and all bits of a subnormal


def expm1_of_positive(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`expm1` of 0 and of normal numbers up to 64, to the bit, without what other numbers need."""
    form = _format(x)
    r, n = _reduce(_at_most(x, 64.0), form)  # a bound, also so that a product is rounded before it is reduced, as there
    power = _float((n << form.mantissa) + form.one)
    return _where(x < 0.5**form.mantissa, x, power * _expm1_near_0(r, form) + (power - 1))


def tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The hyperbolic tangent; odd to the bit."""
    form = _format(x)
    r, n = _reduce(_at_least(-abs(x + x), form.lost), form)
    power = _float((n << form.mantissa) + form.one)
    change = power * _expm1_near_0(r, form)
    size = ((1 - power) - change) / ((1 + power) + change)  # each of the two rounded once
    return _float(_word(size) | (_word(x) & -(1 << form.sign)))


def logistic(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """1/(1 + e^-x)."""
    form = _format(x)
    r, n = _reduce(_at_most(_at_least(-x, form.lost), -form.exp_range[0]), form)
    unit = 0.5 ** (form.mantissa + 1)  # for 1, so that what is large for a subnormal result is not beyond the largest
    power = _float((n << form.mantissa) + (form.one - ((form.mantissa + 1) << form.mantissa)))
    whole = unit + power
    lost = unit - (whole - power)  # which would be half of a last bit where the power is 2^24
    return unit / (whole + (power * _expm1_near_0(r, form) + lost))


def log(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The natural logarithm; NaN below 0, -infinity at 0."""
    form = _format(x)
    f, exponent = _split(x, form)
    return _log_edges(x, _log_of(f, exponent.astype(x.dtype), form))


def log_of_normal(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`log` of positive normal numbers, to the bit, without what other numbers need."""
    m, e = split(x)
    return _log_of(m - 1, e, _format(x))


def split(x: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """m and e of x = 2^e m, sqrt(1/2) <= m < sqrt(2), for positive normal numbers."""
    form = _format(x)
    word = _word(x) - form.root_half
    m = _float((word & ((1 << form.mantissa) - 1)) + form.root_half)
    return m, (word >> form.mantissa).astype(x.dtype)


def log1p(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """ln(1 + x), to the last bits where x is small."""
    form = _format(x)
    whole = 1 + x
    rounded, exponent = _split(whole, form)
    # f = 2^-e (1 + x) - 1 with what 1 + x lost; where that is nothing, 2^-e may be too small.
    scale = _float(form.one - (exponent << form.mantissa))
    f = _where(exponent > form.mantissa + 1, rounded, scale * x + (scale - 1))
    value = _log_edges(whole, _log_of(f, exponent.astype(x.dtype), form))
    return _where(abs(x) < 0.5**form.mantissa, x, value)


def pow(x: Float[Array, "..."], y: Float[Array, "..."] | Integer[Array, "..."]) -> Float[Array, "..."]:
    """x^y, with all of IEEE 754's special cases (`pow` of its 9.2.1); an integer y is first made a float."""
    form, y = _format(x), y.astype(x.dtype)
    size = abs(x)
    w, lower = _times_log2(size, y, form)
    limit = _where(size == 0, -jnp.inf, size)  # log2 of 0 and infinity, and NaN of NaN
    w = _where((size > 0) & (size < jnp.inf), w, y * limit)
    total = w + lower
    least, most = form.exponents
    n, word = _round(total, form)
    r = ((w - n) + lower) * sum(form.ln2)
    value = _scale(1 + _expm1_near_0(r, form), word, form)
    value = _where(total > most, jnp.inf, _where(total < least, 0, value))
    value = _power_sign(x, y, value, form)
    return _where((x == 1) | (y == 0), 1, value)


def rsqrt(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """1/sqrt(x)."""
    _format(x)
    return 1 / jnp.sqrt(x)


def _format(x: Array) -> Format:
    if x.dtype not in FORMATS:
        raise ValueError(f"dtype is {x.dtype}, expected float32 or float64")
    return FORMATS[x.dtype]


def _word(x: Float[Array, "*shape"]) -> Int[Array, "*shape"]:
    return lax.bitcast_convert_type(x, FORMATS[x.dtype].word)


def _float(word: Int[Array, "*shape"]) -> Float[Array, "*shape"]:
    return lax.bitcast_convert_type(word, jnp.float32 if word.dtype == jnp.int32 else jnp.float64)


def _where(test: Bool[Array, "..."], yes: Array | float | int, no: Array | float | int) -> Array:
    """`jnp.where`, which would make a plain number float64 for a moment where that is on."""
    dtype = jnp.result_type(yes, no)
    yes, no = (dtype.type(x) if isinstance(x, int | float) else x for x in (yes, no))
    return jnp.where(test, yes, no)


def _at_least(x: Float[Array, "*shape"], least: float) -> Float[Array, "*shape"]:
    """NaN stays NaN, whatever a machine's `max` does; in this form it is one instruction on x86 all the same."""
    return _where(least > x, least, x)


def _at_most(x: Float[Array, "*shape"], most: float) -> Float[Array, "*shape"]:
    return _where(most < x, most, x)


def _polynomial(x: Float[Array, "*shape"], coefficients: tuple[float, ...]) -> Float[Array, "*shape"]:
    """Horner's rule, the highest power first."""
    value = coefficients[0] * x + coefficients[1]
    for coefficient in coefficients[2:]:
        value = value * x + coefficient
    return value


def _reduce(x: Float[Array, "*shape"], form: Format) -> tuple[Float[Array, "*shape"], Int[Array, "*shape"]]:
    """r and n of x = n ln 2 + r (Cody and Waite). n stands in the lowest bits of a word."""
    n, word = _round(x * (0.5 * sum(form.two_log2e)), form)
    return (x - n * form.ln2[0]) - n * form.ln2[1], word


def _round(x: Float[Array, "..."], form: Format) -> tuple[Float[Array, "..."], Int[Array, "..."]]:
    """x rounded to an integer n, and a word with n in its lowest bits.

    By way of the word: (x + magic) - magic is x to the compiler of JAX 0.10.2.
    """
    word = _word(x + form.magic)
    return (word - form.magic_word).astype(x.dtype), word


def _expm1_near_0(r: Float[Array, "*shape"], form: Format) -> Float[Array, "*shape"]:
    return r + (r * r) * _polynomial(r, form.p)


def _scale(p: Float[Array, "*shape"], n: Int[Array, "*shape"], form: Format) -> Float[Array, "*shape"]:
    """p 2^n in two halves, of which the second rounds, once, to a subnormal number, to 0 or to infinity."""
    half = (n >> 1) << form.mantissa
    other_half = (n << form.mantissa) - half
    return (p * _float(half + form.one)) * _float(other_half + form.one)


def _split(x: Float[Array, "*shape"], form: Format) -> tuple[Float[Array, "*shape"], Int[Array, "*shape"]]:
    """f and e of x = 2^e (1 + f), for x > 0."""
    lift = form.mantissa + 1
    subnormal = x < form.least
    word = _word(_where(subnormal, x * 2.0**lift, x)) - form.root_half
    f = _float((word & ((1 << form.mantissa) - 1)) + form.root_half) - 1
    exponent = word >> form.mantissa
    return f, _where(subnormal, exponent - lift, exponent)


def _log_of(f: Float[Array, "*shape"], e: Float[Array, "*shape"], form: Format) -> Float[Array, "*shape"]:
    """ln(2^e (1 + f)), the smaller terms first."""
    return (((f * f) * _polynomial(f, form.q) + e * form.ln2[1]) + f) + e * form.ln2[0]


def _log_edges(x: Float[Array, "*shape"], value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`value` where x is positive and finite; else what a logarithm is there."""
    return _where(x > 0, _where(x < jnp.inf, value, x), _where(x == 0, -jnp.inf, jnp.full_like(x, jnp.nan)))


def _upper(x: Float[Array, "*shape"], form: Format) -> Float[Array, "*shape"]:
    """x with the upper half of its bits."""
    return _float(_word(x) & form.high)


def _times_log2(
    x: Float[Array, "..."], y: Float[Array, "..."], form: Format
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """y log2 x as a sum of two, the second much smaller; for x positive and finite.

    The relative error must be below 2^-mantissa/w, w = y log2 x, which one number cannot hold. (Dekker 1971.)
    """
    f, exponent = _split(x, form)
    m = 1 + f
    (low, log2_low), (high, log2_high) = form.centres
    under, over = m < low**0.5, m > high**0.5
    c = _where(under, low, _where(over, high, jnp.ones_like(m)))
    e = exponent.astype(x.dtype) + _where(under, log2_low, _where(over, log2_high, jnp.zeros_like(m)))
    # s = (m - c)/(m + c) as upper + lower: both s and m + c in halves, so that nothing is lost from m - c - s (m + c).
    apart, whole = m - c, m + c
    inverse = 1 / whole
    s = apart * inverse
    upper = _upper(s, form)
    whole_upper = _upper(whole, form)
    lower = ((apart - upper * whole_upper) - upper * (m - (whole_upper - c))) * inverse
    # log2 x = e + log2 c + K s + s^3 R: first what is exact, then the rest.
    exact = form.two_log2e[0] * upper
    square = s * s
    cubic = (square * s) * _polynomial(square, form.r)
    small = form.two_log2e[1] * upper + (sum(form.two_log2e) * lower + cubic)
    total = e + exact
    small = (exact - (total - e)) + small
    log_upper = _upper(total + small, form)
    log_lower = (total - log_upper) + small
    y = _at_most(_at_least(y, -form.power_most), form.power_most)
    y_upper = _upper(y, form)
    return y_upper * log_upper, (y - y_upper) * log_upper + y * log_lower


def _power_sign(
    x: Float[Array, "..."], y: Float[Array, "..."], value: Float[Array, "..."], form: Format
) -> Float[Array, "..."]:
    """x^y from |x|^y: for a negative x it has a sign where y is odd, and is no number where y is no integer."""
    size = abs(y)
    odd_there = size < 2.0 ** (form.mantissa + 1)  # numbers from there on are even
    integer = _where(odd_there, size, 0).astype(form.word)
    whole = (integer.astype(y.dtype) == size) | ~odd_there
    value = _float(_word(value) ^ (_word(x) & (_where(whole, integer, 0) << form.sign)))
    return _where((x < 0) & (x > -jnp.inf) & ~whole, jnp.nan, value)
