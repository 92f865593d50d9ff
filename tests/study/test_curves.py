"""Exponents fitted to curves of stored cells."""

import pytest
from synthetic import stored

from jgmm.study import curves, spec


def test_rounding_is_no_finding_about_a_law():
    """Runs that share their bits over sigma leave the slope an interval of rounding alone."""
    mixture = {"k": 2, "d": 2, "layout": "simplex", "separation": 12.0, "sigma": [0.1, 1.0, 10.0]}
    study = spec.Study(algorithm="oracle", mixture=mixture, stream={"n": 1000, "start": "truth"})
    law = 4 / 498.998  # about, at sigma = 1
    for power, said in ((2 + 1e-8, "agrees with the law"), (2.001, "off the law")):
        data = stored(study, lambda cell: law)
        shared = data[0].values["error_sq"][:, -1].copy()
        for item in data:
            item.values["error_sq"][:, -1] = shared * item.cell.sigma**power
        (fit,) = (fit for fit in map(curves.fit, curves.curves(study, data)) if fit)
        assert fit.high - fit.low < 1e-5  # what float32 leaves of a mean, stats.estimates.ROUNDING, over four decades
        assert fit.slope == pytest.approx(power, rel=1e-6)
        assert fit.verdict == said


def test_no_error_is_a_power_of_the_separation():
    mixture = {"k": 2, "d": 2, "layout": "simplex", "separation": [3.0, 4.0, 5.0]}
    study = spec.Study(mixture=mixture, stream={"n": 1000, "start": "truth"})
    (curve,) = curves.curves(study, stored(study, lambda cell: 1.0))
    assert curves.usable(curve)
    assert curves.fit(curve) is None
