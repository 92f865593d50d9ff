"""What Python hands over in place of TOML."""

from pathlib import Path

import numpy as np
import pytest

from jgmm.study import parts, spec


def test_numpy_and_python_sequences_are_taken_for_what_they_hold():
    expected = spec.Study(
        runs=7,
        mixture={"k": [2, 3], "d": 4, "sigma": 1.5, "layout": "simplex", "weights": "equal"},
        stream={"n": [10, 20, 30], "rate": [0.1, 0.2], "start": 0.5, "checkpoints": [2, 4, 6], "displacement": True},
    )
    made = spec.Study(
        runs=np.int64(7),
        mixture={"k": np.array([2, 3]), "d": np.uint8(4), "sigma": np.float64(1.5), "layout": np.str_("simplex")}
        | {"weights": ("equal",)},
        stream={"n": range(10, 40, 10), "rate": (0.1, np.float64(0.2)), "start": np.array(0.5)}
        | {"checkpoints": range(2, 7, 2), "displacement": np.bool_(True)},
    )
    assert made == expected
    assert type(made.runs) is int
    assert {type(k) for k in made.part[0].mixture.k} == {int}
    assert type(made.part[0].mixture.sigma[0]) is float
    given = spec.Study(mixture={"weights": np.array([[0.5, 0.5], [0.25, 0.75]]), "layout": Path("a") / "m.npy"})
    assert given.part[0].mixture.weights == [[0.5, 0.5], [0.25, 0.75]]
    assert given.part[0].mixture.layout == str(Path("a") / "m.npy")
    assert spec.Study(mixture=parts.MixtureSpec(k=np.int32(2)), runs=256).part[0].mixture.k == [2]


@pytest.mark.parametrize("k", [{2, 3}, "2", b"2", iter([2]), np.array(["2"]), 2.5, np.array([1 + 1j]), None, object()])
def test_what_holds_no_whole_numbers_is_refused(k):
    with pytest.raises(ValueError, match="mixture.k"):
        spec.Study(mixture={"k": k})


def test_an_array_too_large_is_not_expanded():
    for value in (range(10**12), np.broadcast_to(1.0, (10**9,)), np.broadcast_to(1.0, (4000, 4000))):
        with pytest.raises(ValueError, match="expected at most 5000"):
            spec.Study(mixture={"weights": value})
