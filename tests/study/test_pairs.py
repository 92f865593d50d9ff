"""Pairs of algorithms on the same streams."""

import math

import numpy as np
import pytest
from synthetic import stored

from jgmm.study import pairs, read, spec


def pair(means_of_em):
    """Lloyd with errors of 0.2 and EM with these, on the same mixture."""
    parts = [{"name": name, "algorithm": name} for name in ("lloyd", "em")]
    study = spec.Study(part=parts, mixture={"k": 2, "d": 2}, stream={"n": 1000, "start": 0.1})
    return stored(study, lambda cell: 0.2 if cell.algorithm == "lloyd" else means_of_em)


def test_em_and_lloyd_are_paired_by_one_centre():
    (paired,) = pairs.paired(pair(0.1))
    assert (paired.first, paired.second) == ("lloyd paper", "em paper")
    assert abs(paired.ratio - 1) < 4 * paired.ratio_se < 0.2
    assert abs(paired.difference) < 4 * paired.difference_se


def test_what_steps_and_samples_make_of_a_ratio_stands_beside_it():
    """EM's twin has half the error of a centre of Lloyd's: a ratio of 1/2 is no price of hard labels."""
    data = pair(0.05)
    assert pairs.paired(data)[0].labelled is None
    laws = [np.full((256, 2), 0.2), np.full((256, 2), 0.05)]  # of two centres, and of one
    twins = [item._replace(twin=dict.fromkeys(read.TWINS, law)) for item, law in zip(data, laws, strict=True)]
    (paired,) = pairs.paired(twins)
    assert paired.labelled == pytest.approx(0.5)
    assert abs(paired.ratio - paired.labelled) < 4 * paired.ratio_se


def test_a_pair_whose_first_errors_are_exactly_0_has_a_difference_and_no_ratio():
    data = pair(0.1)
    data[0].values["error_sq"][:] = 0.0
    (paired,) = pairs.paired(data)
    assert math.isnan(paired.ratio)
    assert paired.difference > 0
