r"""Does a study contradict true laws as rarely as it says, and do its 95 % intervals cover?

Everything is drawn from known laws, thousands of studies at once, in NumPy alone:

    law        22 cells held against their true means at a first look, 2.5 %: the share of studies that contradict one
               or more. "before" is Student's t with Bonferroni, 8 runs or more, which jgmm had until then
    power      the same at 64 runs of chi^2_4 errors, every law, or one of the 22, off by 10, 20, 30 %, up and down
    bound      5 N and 5 k, their means exactly of the shape of a bound's variance term, the least favourable truth: the
               share of verdicts "contradicted" at a first look. "before" is the delta method and Student's t, as above
    bound power  the same at 64 runs of means whose exponent in N or k is 0.2 above the bound's
    coverage   of every interval that is printed, and the share of samples that get one. A root of a mean has the roots
               of its limits, and so their coverage

Errors: chi^2_1, chi^2_4, lognormal (sigma = 1), chi^2_50 (5 centres in 10 dimensions), and chi^2_4 of which 1, 2 or 3 %
of runs (a lost centre) are 300 times as large: once the law knows of these ("lost"), once it does not ("unknown").

    python benchmarks/coverage.py [--studies 1000] [--json PATH]

Writes benchmarks/results/coverage.json. Ten minutes of one core.
"""

import argparse
import json
import time
from pathlib import Path

import about
import numpy as np
import scipy.stats

from jgmm import stats
from jgmm.stats import skewed
from jgmm.study import summary as analysis

LEVEL, CELLS = 0.025, 22
RUNS = (8, 16, 64, 256)


def chi2(freedom):
    """chi^2 errors of mean 1."""
    return lambda rng, size: rng.chisquare(freedom, size) / freedom


def lognormal(rng, size):
    """Lognormal errors of mean 1, sigma = 1."""
    return np.exp(rng.standard_normal(size) - 0.5)


def lost(share, known, times=300):
    """chi^2_4 errors, a share of them `times` as large; of mean 1 with these, or without them."""

    def draw(rng, size):
        values = chi2(4)(rng, size) * np.where(rng.random(size) < share, times, 1)
        return values / (1 + share * (times - 1) if known else 1)

    return draw


FAMILIES = {
    "chi2_1": chi2(1),
    "chi2_4": chi2(4),
    "chi2_50": chi2(50),
    "lognormal": lognormal,
    **{f"lost {p:.0%}": lost(p, True) for p in (0.01, 0.02, 0.03)},
    "lost 2%, unknown": lost(0.02, False),
}


def carried_by_few(values):
    """`stats.carried_by_few` along the last axis of positive values."""
    n = values.shape[-1]
    count = max(1, int(np.ceil(0.02 * n)))
    largest = np.partition(values, n - count, axis=-1)[..., n - count :]
    mean = values.mean(axis=-1)
    return (largest.sum(axis=-1) > 0.5 * n * mean) & (largest.mean(axis=-1) > 5 * mean)


def before(values, law, level=LEVEL):
    """Which studies (studies, cells, runs) Student's t made contradict a law (cells,)."""
    n = values.shape[-1]
    tested = ~carried_by_few(values)
    gaps = np.abs(values.mean(axis=-1) - law) / (values.std(axis=-1, ddof=1) / np.sqrt(n))
    limits = scipy.stats.t.isf(level / (2 * np.maximum(tested.sum(axis=-1), 1)), n - 1)
    return (tested & (gaps > limits[:, None])).any(axis=-1)


def after(values, law, level=LEVEL):
    """The same by `stats.against_law`, whose answers these are (a test compares them)."""
    cells, n = values.shape[1:]
    tail = level * (1 - (stats.laws.TOGETHER if cells > 1 else 0)) / (2 * cells)
    tested = ~carried_by_few(values)
    missed = (law > (1 + stats.laws.RARE * stats.laws.HEAVY) * values.mean(axis=-1)) & (n < stats.runs_for_rare(tail))
    low, high = _tails(values, law, tail)
    off = (tested & (((low < tail) & ~missed) | (high < tail))).any(axis=-1)
    for side, some in ((0, tested & ~missed), (1, tested)):
        count = some.sum(axis=1)
        together = np.where(some[..., None], values / law[:, None], 0).sum(axis=1) / np.maximum(count, 1)[:, None]
        together[count < 2] = 1.0
        chances = _tails(together, np.ones(1), level * stats.laws.TOGETHER / 2)[side]
        off |= (count > 1) & ~carried_by_few(together) & (chances < level * stats.laws.TOGETHER / 2)
    return off


def _tails(values, law, tail):
    law = np.broadcast_to(law, values.shape[:-1])
    return skewed.tails(skewed.cautious_shape(values), law, law, tail)


def false_alarms(family, runs, studies, seed=0, parts=10):
    """The shares of studies of true laws that are contradicted, before and after."""
    rng, law = np.random.default_rng([seed, runs]), np.ones(CELLS)
    found = []
    for _ in range(parts):
        values = FAMILIES[family](rng, (-(-studies // parts), CELLS, runs))
        found.append([before(values, law), after(values, law)])
    return np.concatenate(found, axis=1).mean(axis=1)


NS, KS = 2.0 ** np.arange(16, 25, 2), np.arange(2.0, 7)


def bound_contradicted(values, above=(0.0, 0.0), level=LEVEL):
    """Which studies (studies, N, k, runs) contradict a bound of a constant shape, before and after.

    The means grow faster than it by `above` in N and k. Answers of `verdict.verdicts` for many studies at once (a test
    compares them), where no cell is on its floor and every cell has the samples that the theorem asks for.
    """
    n, carried = values.shape[-1], carried_by_few(values)
    contradicted = np.zeros((2, len(values)), bool)
    axes = []
    for axis, sizes in ((1, NS), (2, KS)):
        usable = ~np.moveaxis(carried, axis, 2).any(axis=-1) & (n >= analysis.FEW)
        axes.append((sizes, above[axis - 1], np.moveaxis(values, axis, 2), usable))
    curves_used = sum(usable.sum(axis=1) for *_, usable in axes)
    for sizes, more, v, usable in axes:
        step = np.zeros(len(sizes))
        step[-2:] = np.array([-1, 1]) / np.log(sizes[-1] / sizes[-2])
        means = v.mean(axis=-1)
        for contrast in (stats.slope_weights(sizes), step):
            gap, parts = stats.contrast_parts(v, contrast)
            linear = np.einsum("c,socr->sor", contrast, v / means[..., None])
            error = linear.std(axis=-1, ddof=1) / np.sqrt(n)
            for count in np.unique(curves_used[curves_used > 0]):
                some = curves_used == count
                # Of the level a part for each curve, and now for the constant; of that one for each of `sizes` gaps.
                before, after = (level / each / (2 * len(sizes)) for each in (count, count + 1))
                reaches = (scipy.stats.t.isf(before, n - 1) * error[some], stats.student_reach(parts[some], after))
                for found, reach in zip(contradicted, reaches, strict=True):
                    found[some] |= (usable[some] & (gap[some] + more - reach > stats.bounds.MARGIN)).any(axis=1)
    return contradicted


def bound_shares(family, runs, studies, above=(0.0, 0.0), seed=4, parts=10):
    """The shares of studies whose verdict is "contradicted", before and after."""
    rng, size = np.random.default_rng([seed, runs]), (-(-studies // parts), len(NS), len(KS), runs)
    return np.concatenate([bound_contradicted(FAMILIES[family](rng, size), above) for _ in range(parts)], axis=1).mean(
        axis=1
    )


def power(off, cells_off, studies, runs=64, seed=1):
    """The shares of studies that are contradicted when `cells_off` laws are `off` times the truth."""
    rng = np.random.default_rng(seed)
    values = FAMILIES["chi2_4"](rng, (studies, CELLS, runs))
    law = np.where(np.arange(CELLS) < cells_off, off, 1.0)
    return np.array([before(values, law).mean(), after(values, law).mean()])


# --- coverage ---


def mean_covers(family, runs, studies, rng):
    """Of `mean_interval`: covered where printed, and printed; Student's t beside it."""
    values = FAMILIES[family](rng, (studies, runs))
    low, high = skewed.tails(skewed.shape(values), np.ones(studies), np.ones(studies), 0.025)
    printed = ~carried_by_few(values) & (runs >= stats.LEAST_RUNS)
    t = np.abs(values.mean(axis=1) - 1) < scipy.stats.t.ppf(0.975, runs - 1) * values.std(axis=1, ddof=1) / np.sqrt(
        runs
    )
    return {"covered": _share((low > 0.025) & (high > 0.025), printed), "printed": printed.mean(), "t": t.mean()}


def contrast_covers(family, runs, studies, rng):
    """Of `contrast_interval`, for the slope over 5 cells of one law."""
    values = FAMILIES[family](rng, (studies, 5, runs))
    found, parts = stats.contrast_parts(values, np.arange(-2.0, 3.0) / 10)
    printed = ~carried_by_few(values).any(axis=1)
    return {
        "covered": _share(np.abs(found) <= stats.student_reach(parts, 0.025), printed),
        "printed": printed.mean(),
    }


def quantile_covers(family, runs, studies, rng, probability=0.5):
    """Of `quantile`."""
    law = FAMILIES[family]
    truth = np.quantile(law(np.random.default_rng(99), 4_000_000), probability)
    found = np.array([stats.quantile(row, probability) for row in law(rng, (studies, runs))])
    printed = np.isfinite(found[:, 1])
    return {"covered": _share((found[:, 1] <= truth) & (truth <= found[:, 2]), printed), "printed": printed.mean()}


DEVIATIONS = {"chi2_1": 2**0.5, "chi2_4": 0.5**0.5, "chi2_50": 0.2, "lognormal": (np.e - 1) ** 0.5}


def difference_covers(family, runs, studies, rng):
    """Of `mean_interval` for differences of two errors of means 1 and 1.2, half of either shared by the pair."""
    shared, first, second = (FAMILIES[family](rng, (studies, runs)) for _ in range(3))
    found = [stats.mean_interval(row) for row in 0.5 * (first + shared) - 0.6 * (second + shared)]
    printed = np.array([each is not None for each in found])
    covered = np.array([each is not None and each.low <= -0.2 <= each.high for each in found])
    return {"covered": _share(covered, printed), "printed": printed.mean()}


def deviation_covers(family, runs, studies, rng):
    """Of twice the standard error of `relative_deviation`, of which no interval is made."""
    found = np.array([stats.relative_deviation(row)[:2] for row in FAMILIES[family](rng, (studies, runs))])
    return {"two errors": np.mean(np.abs(found[:, 0] - DEVIATIONS[family]) <= 2 * found[:, 1]), "printed": 0.0}


def proportion_covers(share, runs):
    """Of `proportion`, and of Wilson's interval: exactly, by the binomial law."""
    hits = np.arange(runs + 1)
    weights = scipy.stats.binom.pmf(hits, runs, share)
    exact = [stats.proportion(h, runs)[1:] for h in hits.tolist()]
    wilson = [scipy.stats.binomtest(h, runs).proportion_ci(method="wilson") for h in hits.tolist()]
    inside = [[low <= share <= high for low, high in found] for found in (exact, wilson)]
    return {"covered": weights @ inside[0], "printed": 1.0, "wilson": weights @ inside[1]}


def twins(rng, studies, runs, rate):
    """Errors and their twins' where each run has misassigned samples at `rate`: 4 coordinates that a sample moves.

    Poisson many of them; one that is a Poisson step older has decayed by e. The truth is by a long simulation.
    """
    twin = rng.standard_normal((studies, runs, 4)) / 2
    moved = np.zeros((studies, runs))
    count = rng.poisson(8 * rate, (studies, runs))
    for number in range(1, int(count.max()) + 1):
        moved += np.where(count >= number, 0.5 * np.exp(-rng.uniform(0, 8, count.shape)), 0)
    values = (twin[..., 0] + moved) ** 2 + (twin[..., 1:] ** 2).sum(axis=-1)
    return values, (twin**2).sum(axis=-1)


def controlled_covers(rate, runs, studies, rng):
    """Of `controlled_interval` where printed, of the mean's elsewhere; "t" is the former's wherever it can be made."""
    # E (t + M)^2 of the first coordinate t of variance 1/4: 1/4 + E M^2, M a sum of Poisson(8 rate) many moves.
    first, second = 0.5 * (1 - np.exp(-8)) / 8, 0.25 * (1 - np.exp(-16)) / 16
    truth = 1 + 8 * rate * second + (8 * rate * first) ** 2
    values, twin = twins(rng, studies, runs, rate)
    printed, covered, t = [], [], []
    for v, z in zip(values, twin, strict=True):
        found = stats.controlled_interval(v, z, 1.0)
        plain = stats.controlled(v, z, 1.0)
        t.append(abs(plain.value - truth) <= scipy.stats.t.ppf(0.975, runs - 2) * plain.standard_error)
        printed.append(found is not None)
        shown = found or stats.mean_interval(v)
        covered.append(shown is None or shown.low <= truth <= shown.high)
    printed, covered = np.array(printed), np.array(covered)
    return {
        "covered": covered.mean(),
        "controlled": printed.mean(),
        "of these": _share(covered, printed),
        "t": np.mean(t),
    }


def _share(hits, among):
    return float(hits[among].mean()) if among.any() else None


def main():
    """The whole table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "coverage.json")
    options = parser.parse_args()
    started = time.process_time()
    found = {
        "environment": about.environment(),
        "studies": options.studies,
        "level": LEVEL,
        "cells": CELLS,
        "law": {},
        "power": {},
        "bound": {},
        "bound power": {},
        "coverage": {},
    }

    def tell(table, name, numbers):
        numbers = {key: None if value is None else round(float(value), 4) for key, value in numbers.items()}
        found[table][name] = numbers
        print(f"{table:11}  {name:34}  " + "  ".join(f"{key} {value}" for key, value in numbers.items()), flush=True)

    for family in FAMILIES:
        for runs in RUNS:
            shares = false_alarms(family, runs, options.studies)
            tell("law", f"{family}, {runs} runs", dict(zip(("before", "after"), shares, strict=True)))
    for off in (0.7, 0.8, 0.9, 1.1, 1.2, 1.3):
        for cells in (CELLS, 1):
            shares = power(off, cells, options.studies)
            tell("power", f"{cells} laws {off:g} times the truth", dict(zip(("before", "after"), shares, strict=True)))
    for family in FAMILIES:
        for runs in RUNS:
            shares = bound_shares(family, runs, options.studies)
            tell("bound", f"{family}, {runs} runs", dict(zip(("before", "after"), shares, strict=True)))
    for family in ("chi2_1", "chi2_4", "lognormal"):
        for axis, above in (("N", (0.2, 0.0)), ("k", (0.0, 0.2))):
            shares = bound_shares(family, 64, options.studies, above)
            tell("bound power", f"{family}, {axis}", dict(zip(("before", "after"), shares, strict=True)))
    rng, many = np.random.default_rng(2), 4 * options.studies
    for family in ("chi2_1", "chi2_4", "chi2_50", "lognormal"):
        for runs in (2, 5, *RUNS):
            tell("coverage", f"mean, {family}, {runs} runs", mean_covers(family, runs, many, rng))
        for runs in (5, *RUNS):
            tell("coverage", f"slope, {family}, {runs} runs", contrast_covers(family, runs, many, rng))
        for runs in (2, 5, 6, *RUNS):
            tell("coverage", f"median, {family}, {runs} runs", quantile_covers(family, runs, options.studies, rng))
        for runs in (2, 5, *RUNS):
            numbers = difference_covers(family, runs, 2 * options.studies, rng)
            tell("coverage", f"difference, {family}, {runs} runs", numbers)
        for runs in (64, 256, 1024):
            numbers = deviation_covers(family, runs, options.studies, rng)
            tell("coverage", f"deviation, {family}, {runs} runs", numbers)
    for share in (0.5, 0.9, 0.99):
        for runs in RUNS:
            tell("coverage", f"proportion {share}, {runs} runs", proportion_covers(share, runs))
    for rate in (1, 0.1, 0.01, 0.001):
        for runs in (5, 16, 64, 256):
            tell("coverage", f"controlled, {rate:g}, {runs} runs", controlled_covers(rate, runs, options.studies, rng))
    found["cpu_seconds"] = round(time.process_time() - started, 1)
    options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
