r"""What theorems state and what is exactly true: bounds and laws, in float64, without JAX.

    bounds      the theorems: their bounds, their conditions        THEOREMS
    lloyd       streaming Lloyd: separated laws, fixed points, floors
    em          streaming EM on a symmetric pair: information, Cramer-Rao, fixed points
    modes       how both, and updates in between, relax and fluctuate about their fixed points
    start       the error of a start by Algorithm 2
    labelled    exact laws of centres that only ever get their own samples
    overlap     what overlap changes of that, and how far to trust it

Laws are derived in docs/theory.md. Lengths (means, errors, sigma) share one unit, their squares its square; a
separation is in units of sigma, and rates, weights and probabilities are pure numbers. Arguments broadcast. Functions
raise ValueError for a rate outside (0, 1), a negative separation, k < 1, and for n, d, sigma, or another size that is
not positive.
"""

from jgmm.theory.bounds import (
    THEOREMS,
    Theorem,
    theorem1_bound,
    theorem1_separation,
    theorem2_separation,
    theorem3_bound,
    theorem7_bound,
    theorem_about,
)
from jgmm.theory.em import EMInformation, cramer_rao, em_fixed_point_bias, em_information, em_stationary_sq
from jgmm.theory.lloyd import (
    PairLaw,
    contraction,
    lloyd_bias,
    lloyd_error_sq,
    lloyd_pair_fixed_points,
    lloyd_pair_law,
    simplex_displacement,
    simplex_floor,
    stationary_distance,
    stationary_sq,
)
from jgmm.theory.modes import Mode, PairModes, pair_modes
from jgmm.theory.start import lost_component_probability, seeding_error_sq

__all__ = [
    "THEOREMS",
    "EMInformation",
    "Mode",
    "PairLaw",
    "PairModes",
    "Theorem",
    "contraction",
    "cramer_rao",
    "em_fixed_point_bias",
    "em_information",
    "em_stationary_sq",
    "lloyd_bias",
    "lloyd_error_sq",
    "lloyd_pair_fixed_points",
    "lloyd_pair_law",
    "lost_component_probability",
    "pair_modes",
    "seeding_error_sq",
    "simplex_displacement",
    "simplex_floor",
    "stationary_distance",
    "stationary_sq",
    "theorem1_bound",
    "theorem1_separation",
    "theorem2_separation",
    "theorem3_bound",
    "theorem7_bound",
    "theorem_about",
]
