r"""Families of laws for a mean m(x), and each fitted by weighted least squares on log m.

    power            log m = a + b log x
    power-log        log m = a + b log x + c log log x
    power-floor      log m = log(A x^b + F),          F >= 0
    power-log-floor  log m = log(A x^b log x + F),    F >= 0

b is the exponent. Families with a logarithm need x > e. log log x depends on the unit of x, so `unit` u makes it
log log(u x). The first two families are linear in their parameters; `floors` fits the other two.
"""

from typing import NamedTuple

import numpy as np

from . import floors
from .moments import Moments


class Family(NamedTuple):
    """A family: a power, with a logarithm or not, and with a floor or not."""

    name: str
    log: bool
    floor: bool


POWER = Family("power", log=False, floor=False)
POWER_LOG = Family("power-log", log=True, floor=False)
POWER_FLOOR = Family("power-floor", log=False, floor=True)
POWER_LOG_FLOOR = Family("power-log-floor", log=True, floor=True)


class Solution(NamedTuple):
    """A family fitted to some of the sizes, with its residuals and Jacobian at all sizes."""

    parameters: np.ndarray  # a (or log A), b, and c or F; a at the centre of log x, F in units of the least mean
    residuals: np.ndarray  # (cells,)
    jacobian: np.ndarray  # (cells, free parameters)

    @property
    def exponent(self) -> float:
        """The power of x."""
        return float(self.parameters[1])


def rivals(sizes: np.ndarray) -> tuple[Family, ...]:
    """The families that can be fitted to these sizes, which are in ascending order."""
    if len(sizes) < 4:
        return (POWER,)
    return (POWER, POWER_LOG, POWER_FLOOR, POWER_LOG_FLOOR) if sizes[0] > np.e else (POWER, POWER_FLOOR)


def solve(family: Family, moments: Moments, train: np.ndarray, unit: float = 1.0) -> Solution:
    """The family fitted to the sizes with the indices `train`."""
    y, weights = moments.y, moments.weights[train]
    if family.floor:
        model = floor_model(family, moments, unit)
        parameters = floors.best(model.at(train), y[train], weights)
        prediction, jacobian = model.predict(parameters[None])
        # At F = 0 only power is left: a free F would also fit curvatures that need F < 0.
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
    """The model of a family with a floor, at the sizes of these moments."""
    logs = moments.logs
    added = log_log(logs, unit) if family.log else np.zeros_like(logs)
    return floors.FloorModel(logs - logs.mean(), added, moments.y.min())


def log_log(logs: np.ndarray, unit: float = 1.0) -> np.ndarray:
    """log log(unit x), from log x."""
    return np.log(logs + np.log(unit))
