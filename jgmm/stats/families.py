r"""Families of laws for a mean m(x), and each fitted by weighted least squares on log m.

    power            log m = a + b log x
    power-log        log m = a + b log x + c log log x
    power-floor      log m = log(A x^b + F),          F >= 0
    power-log-floor  log m = log(A x^b log x + F),    F >= 0

b is the exponent. The logarithms need x > e; four parameters are fitted to four sizes or more. log log x depends on the
unit of x, so it may be taken as log log(k x) instead. The first two are linear in their parameters, the others are
fitted by `floors`.
"""

from typing import NamedTuple

import numpy as np

from . import floors
from .moments import Moments


class Family(NamedTuple):
    """A family by what it has beside the power."""

    name: str
    log: bool
    floor: bool


POWER = Family("power", log=False, floor=False)
POWER_LOG = Family("power-log", log=True, floor=False)
POWER_FLOOR = Family("power-floor", log=False, floor=True)
POWER_LOG_FLOOR = Family("power-log-floor", log=True, floor=True)


class Solution(NamedTuple):
    """A family fitted to some of the sizes; the residuals and the Jacobian are those of all of them."""

    parameters: np.ndarray  # a (or log A), b, and c or F; a at the centre of log x, F in units of the least mean
    residuals: np.ndarray  # (cells,)
    jacobian: np.ndarray  # (cells, free parameters)

    @property
    def exponent(self) -> float:
        """The power of x."""
        return float(self.parameters[1])


def rivals(sizes: np.ndarray) -> tuple[Family, ...]:
    """The families that sizes in ascending order have room for."""
    if len(sizes) < 4:
        return (POWER,)
    return (POWER, POWER_LOG, POWER_FLOOR, POWER_LOG_FLOOR) if sizes[0] > np.e else (POWER, POWER_FLOOR)


def solve(family: Family, moments: Moments, train: np.ndarray, unit: float = 1.0) -> Solution:
    """The family fitted to the sizes whose indices are in train, with log log(unit x) where it has a logarithm."""
    y, weights = moments.y, moments.weights[train]
    if family.floor:
        model = floor_model(family, moments, unit)
        parameters = floors.best(model.at(train), y[train], weights)
        prediction, jacobian = model.predict(parameters[None])
        # On the bound F = 0 the family is the power: to let F move would forgive a curvature that F >= 0 cannot have.
        free = 3 if parameters[2] > 0 else 2
        return Solution(parameters, y - prediction[0], jacobian[0][:, :free])
    columns = design(family, moments.logs, unit)
    parameters = floors.least_squares(columns[train], weights) @ y[train]
    return Solution(parameters, y - columns @ parameters, columns)


def design(family: Family, logs: np.ndarray, unit: float = 1.0) -> np.ndarray:
    """Columns of a linear family, (cells, parameters); log x is centred, which moves the first coefficient only."""
    columns = [np.ones_like(logs), logs - logs.mean()]
    return np.stack([*columns, log_log(logs, unit)] if family.log else columns, axis=1)


def floor_model(family: Family, moments: Moments, unit: float = 1.0) -> floors.FloorModel:
    """A family with a floor, at the sizes of these moments."""
    logs = moments.logs
    added = log_log(logs, unit) if family.log else np.zeros_like(logs)
    return floors.FloorModel(logs - logs.mean(), added, moments.y.min())


def log_log(logs: np.ndarray, unit: float = 1.0) -> np.ndarray:
    """log log(unit x), from log x."""
    return np.log(logs + np.log(unit))
