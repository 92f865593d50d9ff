"""The exact mean of a twin's squared error: the same start fed the same samples, with every label known.

It depends on the noise by its variance alone, and on nothing else of the mixture than its weights and scales. See
`labelled` for the laws of one centre.
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
    """Of centres that each get the samples of their own component, by such a step: (counts, runs).

    samples: (counts,); start_sq, the squared distances of the starts, and component, which one each estimate stands
    for: (k, runs).
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
    """Of the one mean of a symmetric pair, which gets all samples with their signs: as `each_its_own`."""
    del weights, component
    law = step.labelled(samples, 1.0)
    return law.kept[:, None] * start_sq + law.noise[:, None] * scales[0] ** 2 * d
