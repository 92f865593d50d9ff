"""Noises with numbers, covariances, labels that stay and means that move, as a spec says them."""

import numpy as np
import pytest
from scipy.stats import norm
from synthetic import stored

import jgmm
from jgmm.algorithms import lloyd
from jgmm.study import expected, regime, settings, spec

MIXTURE = {"k": 2, "d": 4, "layout": "simplex", "separation": 8.0}
STREAM = {"n": 300, "rate": 0.05, "start": 0.3, "checkpoints": 2}


def study(stream=STREAM, runs=64, **mixture):
    return jgmm.Study(name="sampled", runs=runs, mixture={**MIXTURE, **mixture}, stream=stream)


def only(**mixture):
    (cell,) = spec.cells(study(**mixture))
    return cell


# --- cells ---


def test_what_is_usual_is_left_out_of_an_identifier():
    usual = only()
    said = only(covariance="spherical", dwell=0.0, drift=0.0, noise="gaussian")
    assert usual.identifier(0, False) == said.identifier(0, False) == "cf50c4a0d899"
    others = [{"noise": "student"}, {"noise": "student", "df": 3.0}, {"covariance": {"ratio": 3.0}}, {"dwell": 0.5}]
    others += [{"drift": 0.01}, {"covariance": {"rank": 1, "factor": 3.0}}, {"covariance": [1.0, 2.0, 1.0, 1.0]}]
    names = {only(**other).identifier(0, False) for other in others}
    assert len(names - {usual.identifier(0, False)}) == len(others)


def test_another_version_of_an_algorithm_has_other_cells(monkeypatch):
    before = only().identifier(0, False)
    monkeypatch.setattr(lloyd, "LLOYD", lloyd.LLOYD._replace(version=2))
    assert only().identifier(0, False) != before


def test_numbers_are_axes_and_a_cell_has_those_of_its_own_noise():
    cells = spec.cells(study(noise=["gaussian", "student"], df=[3.0, 5.0], dwell=[0.0, 0.9]))
    found = [(c.noise, dict(c.noise_numbers), c.dwell) for c in cells]
    assert found == [
        *[("gaussian", {}, dwell) for dwell in (0.0, 0.9)],
        *[("student", {"df": df}, dwell) for df in (3.0, 5.0) for dwell in (0.0, 0.9)],
    ]
    assert settings.varying(cells) == ["noise", "df", "dwell"]
    assert settings.numbers(cells[-1]) == "df=5 dwell=0.9"


def test_covariances_in_a_list_are_an_axis_and_one_list_of_numbers_is_not():
    several = spec.cells(study(covariance=["spherical", {"ratio": 4.0}, [1.0, 1.0, 2.0, 2.0]]))
    assert [settings.covariance(cell.covariance) for cell in several] == ["spherical", "ratio 4", "1 1 2 2"]
    assert only(covariance=[1.0, 1.0, 2.0, 2.0]).variances == (2.5, 2.5)
    assert only(covariance={"ratio": 4.0}).variances == pytest.approx((1, 1), rel=1e-6)
    assert only(covariance={"rank": 2, "factor": 3.0}, sigma=2.0).variances == pytest.approx((20, 20), rel=1e-6)


@pytest.mark.parametrize(
    ("mixture", "stream", "message"),
    [
        ({"df": 3.0}, {}, "mixture.df is .*: no noise has df"),
        ({"noise": "student", "df": 2.0}, {}, "mixture.df.*: expected greater than 2"),
        ({"noise": "laplace", "share": 0.1}, {}, "no noise has share"),
        ({"covariance": {"ratio": 3.0, "rank": 2.0}}, {}, "covariance has the numbers ratio, rank: expected ratio or"),
        ({"covariance": [1.0, 2.0]}, {}, "expected d = 4 numbers"),
        ({"covariance": {"rank": 5, "factor": 2.0}}, {}, "rank is 5, expected at most d = 4"),
        ({"noise": "outliers"}, {"start": "first"}, "samples of one width: expected another start"),
        ({"drift": 0.1}, {"start": "seeding"}, "drift is 0.1: expected a start at or near the truth"),
        ({"dwell": 1.0}, {}, "dwell.*: expected less than 1"),
    ],
)
def test_what_cannot_be_sampled_is_refused_in_a_line(mixture, stream, message):
    with pytest.raises(ValueError, match=message) as error:
        spec.cells(spec.changed(study(), part=[{"mixture": {**MIXTURE, **mixture}, "stream": {**STREAM, **stream}}]))
    assert "\n" not in str(error.value)


# --- laws ---


@pytest.mark.parametrize(
    ("mixture", "condition"),
    [
        ({"noise": "student"}, "the noise is not Gaussian"),
        ({"noise": "outliers"}, "the noise is not Gaussian"),
        ({"covariance": {"ratio": 3.0}}, "the covariance is not spherical"),
        ({"dwell": 0.5}, "labels are not independent"),
        ({"drift": 0.01}, "the means move"),
    ],
)
def test_laws_that_need_independent_spherical_gaussians_are_not_told_of_others(mixture, condition):
    of = {"mixture": {**MIXTURE, **mixture}, "stream": {"n": 10_000, "start": 0.1}, "theorem": 1}
    (item,) = stored(spec.Study(**of), lambda cell: 1.0)
    assert [reason.condition for reason in regime.unmet(item)] == [condition]
    assert expected.law(item, -1) == expected.UNKNOWN
    assert expected.floor(item) is expected.cramer_rao(item, 10_000) is None
    assert (expected.oracle(item, 10_000) is None) == ("dwell" in mixture or "drift" in mixture)


# --- runs ---


def test_samples_are_held_out_of_the_law_of_the_cell(tmp_path):
    mixtures = [{"noise": "outliers", "share": 0.25, "factor": 6.0}, {"covariance": [2.0, 2.0]}]
    pair = {"k": 2, "d": 2, "layout": "simplex", "separation": 4.0}
    stream = {"n": 8, "start": "truth", "rate": 1e-6, "heldout": 1000, "checkpoints": 1}
    parts = [{"name": f"p{i}", "mixture": {**pair, **own}, "stream": stream} for i, own in enumerate(mixtures)]
    found = jgmm.run_study(jgmm.Study(name="held", runs=40, part=parts), tmp_path / "out").results.data
    narrow = 1 / np.sqrt(0.75 + 0.25 * 36)
    wrong = 0.75 * norm.sf(2 / narrow) + 0.25 * norm.sf(2 / (6 * narrow)), norm.sf(1)  # with centres at the means
    for item, share in zip(found, wrong, strict=True):
        assert abs(item.values["mislabelled"][:, 0].mean() - share) < 4 * np.sqrt(share / 40_000)


@pytest.mark.slow
def test_twins_have_their_exact_mean_under_any_noise_and_covariance_and_packed_cells_are_as_alone(tmp_path):
    made = study(
        noise=["student", "contaminated", "outliers"], df=[8.0, 20.0], share=0.1,
        covariance=["spherical", {"rank": 2, "factor": 3.0}], dwell=[0.0, 0.7], scales=[[1.0, 2.0]], runs=400,
    )  # fmt: skip
    several = jgmm.run_study(made, tmp_path / "all").results.data
    for item in several:
        if item.cell.dwell:
            assert item.twin is None
            continue
        error, mean = (item.twin[name][:, -1].astype(float) for name in ("twin_error_sq", "twin_mean_sq"))
        assert abs((error - mean).mean()) < 4 * (error - mean).std() / np.sqrt(len(error))
    (one,) = jgmm.run_study(
        study(noise="student", df=20.0, scales=[[1.0, 2.0]], dwell=0.7, runs=400), tmp_path / "one"
    ).results.data
    (same,) = (item for item in several if item.id == one.id)
    assert (one.error_sq == same.error_sq).all()
