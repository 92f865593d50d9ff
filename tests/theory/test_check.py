"""What enters a formula is checked, and refused in a line that names it."""

import numpy as np
import pytest

from jgmm import theory


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.stationary_sq(rate=1.0, sigma=1, d=1), "rate is 1"),
        (lambda: theory.stationary_sq(rate=0.1, sigma=0, d=1), "sigma is 0"),
        (lambda: theory.theorem7_bound(n=0, d=1, sigma=1, mean_norm=1), "n is 0"),
        (lambda: theory.stationary_sq(rate=np.array([0.5, np.nan]), sigma=1, d=1), "rate is .* expected a number"),
        (lambda: theory.simplex_displacement(1, 2.0), "k is 1"),
        (lambda: theory.theorem1_separation(0), "k is 0"),
        (lambda: theory.lost_component_probability(0, block=3), "k is 0"),
        (lambda: theory.lloyd_bias(-1.0), "separation is -1.0"),
        (lambda: theory.lloyd_bias(1.0, sigma=-2.0), "sigma is -2.0"),
        (lambda: theory.lloyd_pair_law(0.0, rate=0.1, d=2), "separation is 0.0, expected a positive"),
        (lambda: theory.em_fixed_point_bias(2.0, beta=0.0), "beta is 0.0, expected a positive number"),
        (lambda: theory.em_fixed_point_bias(2.0, beta=1e5), "beta is 100000.0, expected at most"),
        (lambda: theory.pair_modes(0.0), "separation is 0.0, expected a positive number"),
        (lambda: theory.pair_modes(1e20), "separation is 1e\\+20, expected a positive number below"),
        (lambda: theory.pair_modes(2.0, beta=0.0), "beta is 0.0"),
        (lambda: theory.pair_modes(2.0, beta=0.4), "beta is 0.4 at separation 2, expected above"),
    ],
)
def test_bad_input_names_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()


GOOD = {
    "theorem1_bound": {"n": 9, "k": 2, "d": 3, "sigma": 1.0, "separation": 4.0, "mean_norm": 1.0},
    "theorem1_separation": {"k": 2},
    "theorem2_separation": {"k": 2},
    "theorem3_bound": {"separation": 4.0, "sigma": 1.0},
    "theorem7_bound": {"n": 9, "d": 3, "sigma": 1.0, "mean_norm": 1.0},
    "contraction": {"rate": 0.1, "weight": 0.5},
    "lloyd_error_sq": {"samples": 9, "rate": 0.1, "weight": 0.5, "sigma": 1.0, "d": 3, "start_sq": 1.0},
    "stationary_sq": {"rate": 0.1, "sigma": 1.0, "d": 3},
    "stationary_distance": {"rate": 0.1, "sigma": 1.0, "d": 3},
    "lloyd_bias": {"separation": 4.0, "sigma": 1.0},
    "simplex_displacement": {"k": 2, "separation": 4.0, "sigma": 1.0},
    "simplex_floor": {"k": 2, "separation": 4.0, "sigma": 1.0},
    "lloyd_pair_law": {"separation": 4.0, "rate": 0.1, "d": 3, "sigma": 1.0},
    "em_information": {"separation": 4.0},
    "em_stationary_sq": {"rate": 0.1, "sigma": 1.0, "d": 3},
    "em_fixed_point_bias": {"separation": 4.0, "beta": 1, "sigma": 1.0},
    "seeding_error_sq": {"means": [[4.0, 0]], "weights": [1.0], "sigma": 1.0, "block": 9, "graph_points": 9},
    "lost_component_probability": {"k": 2, "block": 9},
}


CHECKED = ("n", "k", "rate", "separation", "sigma", "block", "graph_points")


@pytest.mark.parametrize(
    ("function", "name"), [(function, name) for function, call in GOOD.items() for name in CHECKED if name in call]
)
def test_every_function_checks_what_enters_it(function, name):
    call = getattr(theory, function)
    assert np.all(np.isfinite(np.asarray(call(**GOOD[function]))))
    with pytest.raises(ValueError, match=f"{name} is -1"):
        call(**GOOD[function] | {name: -1})


@pytest.mark.parametrize(("name", "edge"), [("rate", 0), ("rate", 1), ("sigma", 0), ("separation", -1e-9)])
def test_the_edges_of_what_is_allowed(name, edge):
    with pytest.raises(ValueError, match=f"{name} is {edge}"):
        theory.lloyd_pair_law(**GOOD["lloyd_pair_law"] | {name: edge})


# --- information ---
