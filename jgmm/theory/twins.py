"""The exact mean of a twin's squared error. A twin is the same start fed the same samples, with every label known.

The mean depends on the mixture's weights and scales and on the noise's variance, on nothing else. `labelled` has the
laws of one centre.
"""

import numpy as np

from jgmm import ordered
from jgmm.theory.situation import StepLaw


def each_its_own(
    step: StepLaw,
    samples: np.ndarray,
    weights: tuple[float, ...],
    scales: tuple[float, ...],
    d: int,
    start_sq: np.ndarray,
    component: np.ndarray,
) -> np.ndarray:
    """The mean for centres that each get the samples of their own component, shape (counts, runs).

    samples: the counts of samples, (counts,). start_sq: the starts' squared errors, (k, runs). component: which
    component each estimate stands for, (k, runs).
    """
    expected = np.zeros((len(samples), start_sq.shape[-1]))
    for index, (weight, scale) in enumerate(zip(weights, scales, strict=True)):
        law = step.labelled(samples, weight)
        of_component = ordered.add_up(np.where(component == index, start_sq, 0))
        expected += law.kept[:, None] * of_component[None] + law.noise[:, None] * scale**2 * d
    return expected


def one_of_all(
    step: StepLaw,
    samples: np.ndarray,
    weights: tuple[float, ...],
    scales: tuple[float, ...],
    d: int,
    start_sq: np.ndarray,
    component: np.ndarray,
) -> np.ndarray:
    """The mean for the one mean of a symmetric pair, which gets all samples with their signs; as `each_its_own`."""
    del weights, component
    law = step.labelled(samples, 1.0)
    return law.kept[:, None] * start_sq + law.noise[:, None] * scales[0] ** 2 * d
