"""What the records of `contract` hold where they say nothing else."""

import math
from typing import Any

import numpy as np

from jgmm.mixture import Mixture


def no_params(mixture: Mixture, component: np.ndarray, numbers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Nothing: the step needs no more than the sample and the step size."""
    del mixture, component, numbers
    return {}


def no_numbers(numbers: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """Nothing: the noise has none."""
    del numbers
    return ()


def one_each(k: int) -> int:
    """An estimate for each component."""
    return k


def one_sample(e: int) -> int:
    """1."""
    del e
    return 1


def all_moments(numbers: dict[str, float]) -> bool:
    """Has all moments, whatever its numbers."""
    del numbers
    return True


def any_mixture(mixture: Mixture) -> None:
    """Takes every mixture."""


def nearest_only(numbers: dict[str, float]) -> float:
    """Infinite: a sample moves the estimate that is nearest to it, and no other."""
    del numbers
    return math.inf


def always(mixture: Mixture) -> bool:
    """Whatever the mixture."""
    del mixture
    return True


def unchanged(params: dict[str, Any], mixture: Mixture, more: np.ndarray) -> dict[str, Any]:
    """What a step is told does not depend on the dimension."""
    del mixture, more
    return params
