"""The test of the simulation against laws, exact or of first order: whether every mean agrees with its law."""

from typing import NamedTuple

import numpy as np

from jgmm import stats
from jgmm.study import expected, summary
from jgmm.study.read import CellData
from jgmm.study.verdicts import units

SAME = 1e-4  # relative: more than float32 rounds a squared error, less than a sample given to another centre changes it


class LawVerdict(NamedTuple):
    """A sentence about the laws; `agrees` is None if there are too few runs."""

    agrees: bool | None
    sentence: str


class LawTest(NamedTuple):
    """A mean error or a floor of a cell, and its law."""

    item: CellData
    of_floor: bool
    sample: np.ndarray  # squared errors (runs,), or displacements (runs, p)
    law: float
    accuracy: float
    exact: bool  # not of first order

    @property
    def where(self) -> str:
        """The cell in a few words."""
        cell = self.item.cell
        what = "floor, " if self.of_floor else ""
        apart = f" C={cell.separation:g}" if cell.k > 1 else ""
        stream = "" if cell.start_only else f" N={cell.n}"
        return f"{what}{cell.part}, k={cell.k} d={cell.d}{apart}{stream}"


def law_verdict(data: list[CellData], look: int) -> LawVerdict | None:
    """Do all cells agree with their laws at the last checkpoint, floors included? None if no law is known."""
    every = [test for item in data for test in _tests(item)]
    if not every:
        return None
    alone = {item.id for item in units.once([test.item for test in every if not test.of_floor])}
    tests = [test for test in every if test.of_floor or test.item.id in alone]
    check = stats.against_law(
        [test.sample for test in tests],
        [test.law for test in tests],
        [test.accuracy for test in tests],
        stats.look_level(look),
    )
    why = f"have fewer than {stats.LEAST_RUNS} good runs, runs without any error, or are carried by a few."
    if check.worst is None:
        return LawVerdict(None, f"Not tested: all {check.untested} means with a known law {why}")
    sentences = [_headline(check, tests, check.worst), *_of_which(tests, len(every) - len(tests))]
    if check.together is not None:
        ratio = check.together
        sentences.append(f"Over all of them measured / law is {ratio.value:.4g} ± {ratio.standard_error:.1g}.")
    labelled = sum(not test.of_floor and same_as_twin(test.item) for test in tests)
    if labelled:
        sentences.append(
            f"In {labelled} of {len(tests)} estimate and twin agree in every run, as if every label were known: of"
            " these it is the labelled law that is tested, not what overlap does."
        )
    if check.untested:
        sentences.append(f"{check.untested} more {why}")
    return LawVerdict(check.agrees, " ".join(sentences))


def _of_which(tests: list[LawTest], repeated: int) -> list[str]:
    """How many laws are exact and how many not, and how many means are those of another cell in other units."""
    exact = sum(test.exact for test in tests)
    words = []
    if exact < len(tests):
        which = f"{exact} of these laws are exact, {len(tests) - exact}" if exact else "All of these laws are"
        words.append(f"{which} of first order, each tested within its accuracy.")
    if repeated:
        words.append(
            f"{repeated} more differ from one of these in sigma alone, and run by run agree with it: untested."
        )
    return words


def _tests(item: CellData) -> list[LawTest]:
    """The tests of a cell: of its mean at the last checkpoint and of its floor, if their laws are known."""
    tests = []
    law = expected.law(item, len(item.samples) - 1)
    if law.error_sq is not None and law.accuracy is not None and np.isfinite(law.accuracy):
        tests.append(LawTest(item, False, summary.law_sample(item), law.error_sq, law.accuracy, law.exact))
    floor, vectors = expected.floor(item), summary.floor_vectors(item)
    if floor is not None and vectors is not None:
        tests.append(LawTest(item, True, vectors, floor, expected.floor_accuracy(item), True))
    return tests


def _headline(check: stats.LawCheck, tests: list[LawTest], worst: int) -> str:
    """The sentence on whether laws and means agree, and how far the worst is off."""
    largest = f"{check.largest:.2g} standard errors ({tests[worst].where})"
    if check.agrees is False:
        return (
            f"{check.cells} means have a known law, the worst is off by {largest}. If all are right, one of so many is"
            f" as far off with probability {min(2 * check.chance * check.cells, 1):.1g}: simulation or law is wrong"
            " there, or more runs will agree."
        )
    if check.short:
        return (
            f"{check.cells - len(check.short)} of {check.cells} means with a known law agree with it."
            f" {len(check.short)} are below half of theirs ({tests[check.short[0]].where}): the law is wrong, or runs"
            f" as rare as 1 in {1 / stats.laws.RARE:g} carry the mean, which {check.enough} runs would show."
        )
    # The mean of few or skewed runs may be many standard errors off: its probability says whether that is unusual.
    alone = f" by itself, not as the worst of {check.cells}" if check.cells > 1 else ""
    probability = f", which has probability {min(2 * check.chance, 1):.1g}{alone}" if check.largest else ""
    return f"All {check.cells} means with a known law agree with it: the least likely is off by {largest}{probability}."


def same_as_twin(item: CellData) -> bool:
    """Whether every good run ends where its twin does, but for rounding."""
    if item.twin is None:
        return False
    twin = item.twin["twin_error_sq"][item.ok, -1].astype(float)
    return bool(np.allclose(item.error_sq, twin, rtol=SAME, atol=0))
