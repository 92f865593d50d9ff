r"""Least squares for a power above a floor: log m = log(exp(a + b log x + added) + F), F >= 0.

`added` is 0 or log log x. The floor parameter is f = F / exp(scale), which lies between 0 and about 1: scale is the
least log mean. Many data sets are fitted at once, each a row: theta = (a, b, f) has the shape (fits, 3).
"""

from typing import NamedTuple

import numpy as np


class FloorModel(NamedTuple):
    """The model at its sizes."""

    logs: np.ndarray  # (cells,), log x, centred
    added: np.ndarray  # (cells,), what is added to the logarithm of the power
    scale: float

    def at(self, cells: np.ndarray) -> "FloorModel":
        """The same model at some of the sizes."""
        return self._replace(logs=self.logs[cells], added=self.added[cells])

    def predict(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log means (fits, cells), and their derivatives (fits, cells, 3)."""
        power = np.exp(theta[:, :1] + theta[:, 1:2] * self.logs[None] + self.added[None] - self.scale)
        total = power + theta[:, 2:]
        share = power / total
        return self.scale + np.log(total), np.stack([share, share * self.logs[None], 1 / total], axis=2)


def best(model: FloorModel, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The parameters (3,) that fit log means y (cells,) best, among fits from several starts."""
    starts = _starts(model, y, weights)
    thetas = fit(model, np.broadcast_to(y, (len(starts), len(y))), weights, starts)
    costs = (weights * (y - model.predict(thetas)[0]) ** 2).sum(axis=1)
    return thetas[np.argmin(costs)]


def _starts(model: FloorModel, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Powers fitted to the means less a floor: 0, 1/2, 0.9 and 0.99 of the least mean."""
    solve = least_squares(np.stack([np.ones_like(model.logs), model.logs], axis=1), weights)
    floors = np.array([0.0, 0.5, 0.9, 0.99])
    above = np.log(np.exp(y - model.scale)[None] - floors[:, None]) + model.scale - model.added[None]
    return np.concatenate([above @ solve.T, floors[:, None]], axis=1)


def least_squares(columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The matrix that takes y to its weighted least-squares coefficients on these columns (cells, parameters)."""
    roots = np.sqrt(weights)
    return np.linalg.pinv(roots[:, None] * columns) * roots


def fit(model: FloorModel, y: np.ndarray, weights: np.ndarray, starts: np.ndarray, iterations: int = 30) -> np.ndarray:
    """The method of Levenberg and Marquardt for all rows of y (fits, cells) at once, from starts (fits, 3).

    Where a step lowers a row's cost, the row moves and its damping falls; else its damping rises. A row that no longer
    moves is done.
    """
    w = weights / weights.max()
    theta = np.array(starts, float)
    damping = np.full(len(theta), 1e-4)
    active = np.arange(len(theta))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        value, jacobian = model.predict(theta)
        cost = (w * (y - value) ** 2).sum(axis=1)
        for _ in range(iterations):
            step = _step(theta[active], jacobian, w, y[active] - value, damping[active])
            trial = theta[active] + step
            new_value, new_jacobian = model.predict(trial)
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


def _step(
    theta: np.ndarray, jacobian: np.ndarray, weights: np.ndarray, residuals: np.ndarray, damping: np.ndarray
) -> np.ndarray:
    """One damped step of each fit, (fits, 3).

    If a step would cross f = 0, f is set to 0 and the other two parameters minimise the quadratic model there. With one
    bound this is the model's exact solution.
    """
    weighted = jacobian * weights[None, :, None]
    normal = np.swapaxes(weighted, 1, 2) @ jacobian
    gradient = (weighted * residuals[:, :, None]).sum(axis=1)
    diagonal = np.arange(3)
    normal[:, diagonal, diagonal] *= 1 + damping[:, None]
    normal[:, diagonal, diagonal] += 1e-14
    step = np.linalg.solve(normal, gradient[:, :, None])[:, :, 0]
    crosses = theta[:, 2] + step[:, 2] < 0
    left = gradient[:, :2] + normal[:, :2, 2] * theta[:, 2:]
    others = np.linalg.solve(normal[:, :2, :2], left[:, :, None])[:, :, 0]
    return np.where(crosses[:, None], np.concatenate([others, -theta[:, 2:]], axis=1), step)
