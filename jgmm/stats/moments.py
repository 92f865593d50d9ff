r"""The data of a fit: log means of cells, their covariance, and bootstrap replicas of them.

Cells share their runs, so the bootstrap draws a run in all cells together. Many runs are first averaged in batches of
consecutive runs: the bootstrap then draws batches, and 400 of them are quick to draw from.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from .estimates import ROUNDING

BATCHES = 400  # at most: 400 give the bootstrap's standard deviation to 3.5 %
SEED = 20240607  # of the bootstrap, so that the same data give the same interval


class Moments(NamedTuple):
    """Bias-corrected log means of the cells, their covariance, and its degrees of freedom."""

    logs: np.ndarray  # (cells,), log x
    y: np.ndarray  # (cells,)
    covariance: np.ndarray  # (cells, cells)
    freedom: int
    full: bool  # whether the covariance off the diagonal is used

    @property
    def weights(self) -> np.ndarray:
        """1 / var of each log mean, (cells,)."""
        return 1 / np.diag(self.covariance)


def batches(values: ArrayLike, count: int = BATCHES) -> np.ndarray:
    """Means of consecutive runs, (cells, runs) -> (cells, count); unchanged if there are fewer runs than count.

    No run is dropped: the sizes of the batches differ by at most one, so means of batches are weighted by their sizes.
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


def log_moments(logs: np.ndarray, means: np.ndarray, counts: np.ndarray) -> Moments:
    """The moments from batch means (cells, batches); counts: the runs in each batch; logs: log x of the cells.

    sum_b n_b (v_b - m)(v_b - m)' / (B - 1) is unbiased for the covariance of one run, for any batch sizes n_b. The bias
    of log m is -var(m) / (2 m^2).
    """
    n, number = counts.sum(), len(counts)
    m = (means * counts).sum(axis=1) / n
    relative = (means / m[:, None] - 1) * np.sqrt(counts)
    covariance = relative @ relative.T / (number - 1) / n + ROUNDING**2 * np.eye(len(m))
    # Hotelling's test needs many more runs than cells. With fewer only the diagonal is used. That is conservative where
    # shared random numbers correlate the cells positively, since contrasts then vary less.
    full = number >= 3 * len(m)
    if not full:
        covariance = np.diag(np.diag(covariance))
    return Moments(logs, np.log(m) + np.diag(covariance) / 2, covariance, number - 1, full)


def resample(means: np.ndarray, counts: np.ndarray, resamples: int) -> np.ndarray:
    """Log means of bootstrap samples, (resamples, cells): the same resampled batches in every cell."""
    number = len(counts)
    drawn = np.random.default_rng(SEED).integers(number, size=(resamples, number))
    drawn += number * np.arange(resamples)[:, None]
    times = np.bincount(drawn.ravel(), minlength=resamples * number).reshape(resamples, number) * counts
    m = (times @ means.T) / times.sum(axis=1)[:, None]
    return np.log(np.maximum(m, np.finfo(float).tiny))  # all runs drawn may be 0


def hotelling(residuals: np.ndarray, covariance: np.ndarray, moments: Moments) -> tuple[float, float]:
    """T^2 of residuals (r,) with this covariance, scaled to an F of expectation near 1, and its p.

    T^2 (nu-p+1)/(nu p) ~ F(p, nu-p+1) (Hotelling 1931). If only the diagonal is used, F(p, nu), whose tail is heavier
    than the truth's. Directions without variance (cells whose runs agree but for rounding) are left out.
    """
    sizes, directions = np.linalg.eigh(covariance)
    varies = sizes > max(1e-10 * sizes[-1], ROUNDING**2 / 100)
    p, nu = int(varies.sum()), moments.freedom
    if p == 0:  # no variance at all: rounding fits, anything else does not
        return (0.0, 1.0) if np.abs(residuals).max() < 1e-6 else (np.inf, 0.0)
    square = float(np.sum((directions.T @ residuals)[varies] ** 2 / sizes[varies]))
    second = nu - p + 1 if moments.full else nu
    f = square / p * (second / nu)
    return f, float(special.fdtrc(p, second, f))
