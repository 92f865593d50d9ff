"""The numbers that the document prints, and the curve that it draws for Theorem 1.

Source: "Implementation of 'Learning Mixture of Gaussians with Streaming Data'", a course project by Ali Mortazavi and
Bita Jalali (the outputs of its cells).
"""

import numpy as np

SIGMA = 100.0  # what the document's bounds use
SAMPLES_SIGMA = 10.0  # the standard deviation that its samples have: its covariance is SIGMA times the identity
SEPARATION = 16.84267459163545  # 10 (k ln k)^(1/4) at k = 5
REALISED_SEPARATION = 885.6  # smallest distance between its centres, in units of its samples' sigma
INITIAL_DISTANCES = (12.185854, 10.525660, 18.466775, 5.058859, 14.183543)  # from each true centre, section 5
THEOREM3_BOUND = 84.21337295817725  # C sigma/20, section 6
THEOREM3_BOUND_OF_SAMPLES = THEOREM3_BOUND / (SIGMA / SAMPLES_SIGMA)  # the same with the samples' standard deviation
PAIR_INITIAL_DISTANCES = (6.57026576, 6.71968489)  # section 9

# Sums of distances along the document's two runs, at the start and after each tenth of the samples but the last.
# fmt: off
LOGGED = (
    (60.42069019, 1.87186898, 1.8527368, 1.94149964, 2.03626929,
     1.96715912, 1.65601972, 2.21425012, 1.97792386, 2.13415165),
    (60.42069019, 1.95681541, 1.77998779, 1.84137732, 2.44125269,
     2.12873823, 2.05096963, 1.98234627, 1.76737377, 2.02814543),
)
# fmt: on


def theorem1_as_drawn(*, n, k, d, sigma, separation, mean_norm):
    """Theorem 1 as the document types it: max|mu|/N, not squared, and k^3 on the variance alone."""
    floor = np.exp(-(separation**2) / 8) * (separation**2 + k) * sigma**2
    return mean_norm / n + k**3 * sigma**2 * d * np.log(n) / n + floor
