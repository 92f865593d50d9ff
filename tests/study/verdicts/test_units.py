"""Cells that differ in sigma alone are one experiment where run by run their errors say so."""

import numpy as np
from synthetic import cell_data, stored, verdict_on

from jgmm.study import spec, verdicts
from jgmm.study.verdicts import units


def rescaled_study(sigma=(0.1, 1.0, 10.0), **mixture):
    """A study of several sigma; cells come in their order."""
    table = {"k": 3, "d": 4, "layout": "simplex", "separation": 12.0, "sigma": list(sigma), **mixture}
    return spec.Study(mixture=table, stream={"n": 65536, "start": 0.5, "checkpoints": 1}, theorem=1)


def rescaled(study, rounding=1e-6):
    """The cells of a study that hold the same errors over sigma^2, but for rounding."""
    rng = np.random.default_rng(0)
    errors = rng.gamma(9.0, 0.001, 256)
    return [
        cell_data(cell, cell.sigma**2 * errors * (1 + rounding * rng.standard_normal(256)))
        for cell in spec.cells(study)
    ]


def sigmas(found):
    return [[item.cell.sigma for item in group] for group in found]


def test_cells_with_the_same_errors_over_sigma_squared_are_one_experiment():
    data = rescaled(rescaled_study())
    assert sigmas(units.experiments(data)) == [[0.1, 1.0, 10.0]]
    assert units.once(data) == data[:1]
    assert units.sentences(data) == [
        "3 cells (main) are one experiment in other units: sigma alone differs, and errors over sigma^2 agree run by"
        " run but for rounding. For constants and laws each experiment counts once."
    ]


def test_one_run_with_another_error_or_another_setting_makes_another_experiment():
    data = rescaled(rescaled_study())
    data[1].values["error_sq"][7, -1] *= 1.01
    assert sigmas(units.experiments(data)) == [[0.1, 10.0], [1.0]]
    lost = rescaled(rescaled_study())
    lost[1].ok[3] = False
    assert sigmas(units.experiments(lost)) == [[0.1, 10.0], [1.0]]
    many = rescaled(rescaled_study(d=[3, 4]))
    assert [len(group) for group in units.experiments(many)] == [3, 3]
    assert units.sentences(many)[0].startswith("6 cells (main) are 2 experiments in other units")
    other = stored(rescaled_study(), lambda cell: cell.sigma**2, seed=1)
    assert units.once(other) == other
    assert units.sentences(other) == []


def test_constants_and_laws_count_an_experiment_once():
    study = rescaled_study()
    data = rescaled(study)
    verdict = verdict_on(study, data)
    (constant,) = verdict.constants
    assert constant.cells == 1
    assert "3 cells (main) are one experiment in other units" in verdict.sentence
    mixture = {"k": 2, "d": 2, "sigma": [0.1, 1.0, 10.0]}
    oracle = spec.Study(algorithm="oracle", mixture=mixture, stream={"n": 1000, "start": "truth", "checkpoints": 1})
    laws = verdicts.law_verdict(rescaled(oracle), look=1).sentence
    assert laws.startswith("1 means have a known law, the worst is off by ")
    assert "2 more differ from one of these in sigma alone, and run by run agree with it: untested." in laws
