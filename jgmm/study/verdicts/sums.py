r"""How a sum of terms grows along an axis, whatever its constants are.

    B = c_1 T_1 + ... + c_m T_m,    l_j = ln T_j

Between two neighbouring sizes B changes by a weighted mean of the terms' factors, the weights their shares in B. So
ln B changes by no more than the largest change of an l_j, and by no less than the least. A least-squares slope is a
mean of the slopes between neighbours with weights >= 0. So the sum of the largest changes is a curve that no B
outgrows, and the sum of the least one that no B falls behind, for any constants >= 0: an error that outgrows the first
contradicts the bound.

Terms far below the others are left out of this: NEGLIGIBLE of the largest at both ends of a step. Without that a floor
term of 1e-8 would excuse every error. So a contradiction is one for all constants but those that are further apart.
"""

from typing import NamedTuple

import numpy as np

NEGLIGIBLE = 1e-3  # with a hidden constant ten times that of the largest, such a term is one hundredth of the bound


class Shapes(NamedTuple):
    """Logarithms (sizes,) of the curves that no sum outgrows (`upper`) and falls behind (`lower`), from 0 on."""

    upper: np.ndarray
    lower: np.ndarray
    single: bool  # whether one term alone counts all along


def shapes(logs: np.ndarray) -> Shapes:
    """The curves for terms whose logarithms are these, (sizes, terms), by size."""
    counts = in_play(logs)
    either = counts[1:] | counts[:-1]
    change = np.diff(logs, axis=0)
    upper = np.where(either, change, -np.inf).max(axis=1)
    lower = np.where(either, change, np.inf).min(axis=1)
    return Shapes(
        np.concatenate([[0.0], np.cumsum(upper)]),
        np.concatenate([[0.0], np.cumsum(lower)]),
        bool(counts.any(axis=0).sum() == 1),
    )


def in_play(logs: np.ndarray) -> np.ndarray:
    """Which terms count at each size, (sizes, terms)."""
    return logs >= logs.max(axis=1, keepdims=True) + np.log(NEGLIGIBLE)
