r"""How far the span of the estimates is from that of the means, whatever the estimates are: centres or a basis.

    subspace_error_sq      sum_i sin^2 theta_i, theta_i the principal angles (`jgmm.subspace`)

Of e estimates: to the e leading directions of sum_j w_j mu_j mu_j^T, or all where the means span fewer. Of `oja` and
`power` it is `error_sq`, but for rounding. A direction that estimates do not span (two in one place) counts 1.
"""

import numpy as np
from jaxtyping import Float

from jgmm import ordered, subspace
from jgmm.measures.record import Seen


def subspace_error_sq(seen: Seen) -> Float[np.ndarray, "runs"]:
    """The sum of the squared sines; inf for a run with an estimate that is not finite."""
    estimates = np.asarray(seen.origin, np.float64) + np.asarray(seen.offset, np.float64)
    finite = np.isfinite(estimates).all(axis=(0, 1))
    tolerance = 10 * float(np.finfo(seen.offset.dtype).eps) * max(estimates.shape[:2])
    basis = ordered.span(np.where(finite, estimates, 0), tolerance=tolerance)
    squares = subspace.sines_sq(basis, subspace.leading(seen.mixture, len(basis)))
    return np.where(finite, ordered.add_up(squares), np.inf)
