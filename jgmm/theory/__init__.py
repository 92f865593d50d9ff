r"""What theorems state and what is exactly true: bounds and laws, in float64, without JAX.

    bounds      the theorems: their bounds and conditions        THEOREMS
    lloyd       streaming Lloyd: laws without overlap, fixed points, floors
    em          streaming EM on a symmetric pair: information, Cramer-Rao, fixed points
    modes       how a pair relaxes to its fixed point and fluctuates about it: Lloyd, EM, and updates in between
    start       the error of a start by Algorithm 2
    labelled    exact laws of centres that get only the samples of their own components
    twins       the exact mean of a twin's squared error
    situation   the arguments of a law: a stream's setting and step size as plain numbers
    overlap     how overlap changes the labelled law, with an accuracy
    expected    the law of a stream or a start, with its accuracy
    floors      the error that no number of samples removes
    references  the labelled oracle, and the Cramer-Rao bound

Laws are derived in docs/theory.md. Lengths (means, errors, sigma) share one unit. A separation is in units of sigma.
Rates, weights and probabilities are pure numbers. Arguments broadcast. Functions raise ValueError for a rate outside
(0, 1), a negative separation, k < 1, and a size (n, d, sigma, ...) that is not positive.

Modules load on first use, since a study's plan needs the theorems but no quadrature.
"""

import importlib

PLACES = {
    "bounds": """THEOREMS Theorem theorem1_bound theorem1_separation theorem2_separation theorem3_bound theorem7_bound
        theorem_about""",
    "em": """EMInformation cramer_rao em_fixed_point_bias em_information em_overspecified_law em_overspecified_sq
        em_stationary_sq""",
    "lloyd": """PairLaw contraction lloyd_bias lloyd_error_sq lloyd_pair_fixed_points lloyd_pair_law
        simplex_displacement simplex_floor stationary_distance stationary_sq""",
    "modes": "Mode PairModes outward_shift pair_modes",
    "start": "lost_component_probability seeding_error_sq",
}
MODULES = {name: module for module, names in PLACES.items() for name in names.split()}
__all__ = list(MODULES)


def __getattr__(name: str):
    if name not in MODULES:
        raise AttributeError(f"module 'jgmm.theory' has no attribute {name!r}")
    return getattr(importlib.import_module(f"jgmm.theory.{MODULES[name]}"), name)


def __dir__():
    return sorted([*globals(), *__all__])
