r"""Weights and scales that an algorithm estimates beside centres, under the matching of its centres.

weights_sq    sum_i (w_i - w*_pi(i))^2            scales_sq    sum_i (sigma_i - sigma*_pi(i))^2
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from jgmm import ordered
from jgmm.measures.record import Seen


def weights_sq(seen: Seen) -> Float[np.ndarray, "runs"]:
    """The sum over matched pairs of the squared error of the weight."""
    return _squares(seen, seen.own["weights"], seen.mixture.weights)


def scales_sq(seen: Seen) -> Float[np.ndarray, "runs"]:
    """The sum over matched pairs of the squared error of the standard deviation."""
    return _squares(seen, seen.own["scales"], seen.mixture.scales)


def _squares(seen: Seen, estimated: Any, true: Any) -> np.ndarray:
    gaps = np.take_along_axis(np.asarray(estimated), seen.pairs.estimate, axis=0) - np.take_along_axis(
        np.asarray(true), seen.pairs.component, axis=0
    )
    return np.asarray(ordered.dot(gaps, gaps))
