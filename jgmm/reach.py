r"""The limits of float32 and float64. Mixtures, starts and rates beyond them are refused: results would be wrong.

eps, tiny and largest are the format's: 1.2e-7, 1.2e-38 and 3.4e38 in float32.

    means      eps |mu_i| <= sigma_i / 32         A sample mu + sigma z is rounded to u <= eps |mu|.
    scales     sqrt(tiny) / eps <= sigma_i        Squares of offsets, down to eps sigma, do not underflow.
    sizes      |mu| + 10 sigma sqrt(d) <= eps sqrt(largest)    Sums of squares do not overflow.
    power      see `check_power`                  Squares of sums of squares over a block do not overflow.
    start      u^2 d / 12 <= 0.01 offset^2        A start is rounded as samples are.
    rates      rate >= eps/2 min(1, offset)       Moves of size rate sigma are not lost beside the offset.

Means: rounding adds u^2/12 to the variance of each coordinate. On the same streams (2,048 pairs, d = 16, rate 0.02)
squared errors were off by 5e-5 +- 3e-5, 2e-4 +- 1e-4, 0.5 % and 4 % at coordinates of 2.5e5, 5e5, 4e6 and 1e7 sigma.
All but the last are u^2/12 within their standard errors. The start by Algorithm 2 is the most sensitive: its median
squared error (256 runs, k = 3, d = 8) was 0.572, 0.574, 0.722 and 1.58 in boxes of 1e4, 1e5, 3e5 and 5e5 sigma.
Rounding adds 14 (eps |mu|)^2 to each centre's, which is less than 1 % at the limit, since the noise is of order
sigma^2.

Needs no JAX.
"""

from typing import Any

import numpy as np

RESOLVED = 2.0**-5  # the largest rounding of a mean that is allowed, in standard deviations
NORMALS = 10  # normal numbers are assumed to be within so many standard deviations
START = 1e-2  # the largest share of a start's squared error that may be rounding


def most(dtype: Any) -> float:
    """The largest norm whose square does not overflow, with room for sums of such squares."""
    return float(np.sqrt(float(np.finfo(dtype).max)) * np.finfo(dtype).eps)


@np.errstate(over="ignore")  # infinity is beyond any format
def check(name: str, value: Any, *, norms: Any, scales: Any, d: int, dtype: Any) -> None:
    """Raises ValueError if scales, or means with norms up to `norms` (one number or one a mean), are beyond the format.

    name, value: the argument that the message names if means are too far out.
    """
    info, scales, norms = np.finfo(dtype), np.asarray(scales, float), np.asarray(norms, float)
    least, largest = np.sqrt(float(info.tiny)) / float(info.eps), most(dtype)
    out = f": expected other units of the data{_wider(info.dtype)}"
    if scales.min() < least:
        raise ValueError(
            f"scales reach down to {scales.min():g}, {info.dtype} holds the squares of {least:.1g} up{out}"
        )
    if scales.max() * NORMALS * np.sqrt(d) > largest:
        room = largest / (NORMALS * np.sqrt(d))
        raise ValueError(
            f"scales reach {scales.max():g}, at d = {d} {info.dtype} holds sums of squares to {room:.1g}{out}"
        )
    if (norms > largest).any():
        raise ValueError(
            f"{name} is {value}: means {norms.max():.3g} from the origin, {info.dtype} holds {largest:.1g}{out}"
        )
    if (float(info.eps) * norms > RESOLVED * scales).any():
        worst = np.max(norms / scales)
        raise ValueError(
            f"{name} is {value}: means up to {worst:.3g} standard deviations from the origin, of which {info.dtype}"
            f" resolves {RESOLVED / float(info.eps):.2g}: expected means nearer to it{_wider(info.dtype)}"
        )


@np.errstate(over="ignore")
def check_power(*, block: int, norm: float, scale: float, d: int, dtype: Any) -> None:
    """Raises ValueError if the power iteration over blocks of `block` samples overflows or underflows the format."""
    info = np.finfo(dtype)
    largest = block * (norm + NORMALS * scale * np.sqrt(d)) ** 2 * np.sqrt(d)
    if largest > np.sqrt(float(info.max)) or block * scale**2 < np.sqrt(float(info.tiny) / float(info.eps)):
        raise ValueError(
            f"block is {block}: sums of squares over it, with scales {scale:g} and means up to {norm:.3g} from the"
            f" origin, have no squares in {info.dtype}: expected other units of the data{_wider(info.dtype)}"
        )


def check_held(name: str, values: np.ndarray, *, dtype: Any) -> None:
    """Raises ValueError if one of these numbers overflows, or becomes 0, in the format."""
    with np.errstate(over="ignore", under="ignore"):
        rounded = values.astype(dtype)
    bad = ~np.isfinite(rounded) | ((rounded == 0) & (values != 0))
    if bad.any():
        raise ValueError(f"{name} is {values[bad].flat[0]:g}, expected what {np.dtype(dtype)} can hold{_wider(dtype)}")


def check_start(name: str, offset: Any, *, means: np.ndarray, scales: np.ndarray) -> None:
    """Raises ValueError if rounding is too large a share of a start `offset` standard deviations from the means.

    means: (k, d, *runs).
    """
    with np.errstate(over="ignore"):
        size = np.asarray(offset, float) * np.max(scales)
    if (size > most(means.dtype)).any():
        raise ValueError(
            f"{name} is {np.max(offset):g}, of which {means.dtype} holds no squares: expected a smaller one"
            f"{_wider(means.dtype)}"
        )
    lost = (np.spacing(np.abs(means)).astype(float) ** 2).sum(axis=1).max(axis=0) / 12
    offsets, lost, scale = np.broadcast_arrays(np.asarray(offset, float), lost, np.max(scales, axis=0).astype(float))
    bad = (offsets > 0) & (lost > START * (offsets * scale) ** 2)
    if bad.any():
        lost, scale = np.sqrt(lost[bad][0]), scale[bad][0]
        raise ValueError(
            f"{name} is {offsets[bad][0]:g}: means so far from the origin are rounded by {lost / scale:.2g} standard"
            f" deviations in {means.dtype}, expected 0, at least {lost / scale / np.sqrt(START):.2g}, or nearer"
            f" means{_wider(means.dtype)}"
        )


def check_rate(rate: Any, *, offset: Any, dtype: Any) -> None:
    """Raises ValueError if rounding loses moves of this rate beside a start `offset` standard deviations away."""
    least = float(np.finfo(dtype).eps) / 2 * np.minimum(1, np.asarray(offset, float))
    bad = np.asarray(rate, float) < least
    if bad.any():
        raise ValueError(
            f"rate is {np.broadcast_to(rate, bad.shape)[bad].flat[0]:g}: moves of that are lost in {np.dtype(dtype)}"
            f" beside the start, expected at least {np.max(least):.1g}{_wider(dtype)}"
        )


def _wider(dtype: Any) -> str:
    """The end of a message, which names float64 if the format is float32."""
    return ", or float64 (x64 = true, --x64, jax.enable_x64)" if np.dtype(dtype) == np.float32 else ""
