r"""Does a study contradict true laws as rarely as it says, and do its 95 % intervals cover?

Everything is drawn from known laws, thousands of studies at once (`many_studies` has them), in NumPy alone:

    law        22 cells held against their true means at a first look, 2.5 %: the share of studies that contradict one
               or more. "before" is Student's t with Bonferroni, 8 runs or more, which jgmm had until then
    power      the same at 64 runs of chi^2_4 errors, every law, or one of the 22, off by 10, 20, 30 %, up and down
    bound      5 N and 5 k, their means exactly of the shape of a bound's variance term, the least favourable truth: the
               share of verdicts "contradicted" at a first look. "before" is the delta method and Student's t, as above
    bound power  the same at 64 runs of means whose exponent in N or k is 0.2 above the bound's
    claims     true claims of a spec's own, kind by kind (`true_claims`), at a first look or at several: the share of
               studies that contradict one
    coverage   of every interval that is printed, and the share of samples that get one. A root of a mean has the roots
               of its limits, and so their coverage

    python benchmarks/coverage.py [--studies 1000] [--table claims ...] [--json PATH]

Writes benchmarks/results/coverage.json, or of it the tables named. A quarter of an hour of one core; the claims take
six minutes of it.
"""

import argparse
import json
import time
from pathlib import Path

import about
import numpy as np
import scipy.stats
import true_claims
from many_studies import CELLS, FAMILIES, LEVEL, bound_shares, carried_by_few, false_alarms, power

from jgmm import stats
from jgmm.stats import skewed

RUNS = (8, 16, 64, 256)
DEVIATIONS = {"chi2_1": 2**0.5, "chi2_4": 0.5**0.5, "chi2_50": 0.2, "lognormal": (np.e - 1) ** 0.5}


def mean_covers(family, runs, studies, rng):
    """Of `mean_interval`: covered where printed, and printed; Student's t beside it."""
    values = FAMILIES[family](rng, (studies, runs))
    low, high = skewed.tails(skewed.shape(values), np.ones(studies), np.ones(studies), 0.025)
    printed = ~carried_by_few(values) & (runs >= stats.LEAST_RUNS)
    error = values.std(axis=1, ddof=1) / np.sqrt(runs)
    t = np.abs(values.mean(axis=1) - 1) < scipy.stats.t.ppf(0.975, runs - 1) * error
    return {"covered": _share((low > 0.025) & (high > 0.025), printed), "printed": printed.mean(), "t": t.mean()}


def contrast_covers(family, runs, studies, rng):
    """Of `contrast_interval`, for the slope over 5 cells of one law."""
    values = FAMILIES[family](rng, (studies, 5, runs))
    slopes, parts = stats.contrast_parts(values, np.arange(-2.0, 3.0) / 10)
    printed = ~carried_by_few(values).any(axis=1)
    covered = np.abs(slopes) <= stats.student_reach(parts, 0.025)
    return {"covered": _share(covered, printed), "printed": printed.mean()}


def quantile_covers(family, runs, studies, rng, probability=0.5):
    """Of `quantile`."""
    law = FAMILIES[family]
    truth = np.quantile(law(np.random.default_rng(99), 4_000_000), probability)
    intervals = [stats.quantile(row, probability) for row in law(rng, (studies, runs))]
    printed = np.array([np.isfinite(interval.low) for interval in intervals])
    covered = np.array([interval.low <= truth <= interval.high for interval in intervals])
    return {"covered": _share(covered, printed), "printed": printed.mean()}


def difference_covers(family, runs, studies, rng):
    """Of `mean_interval` for differences of two errors of means 1 and 1.2, half of either shared by the pair."""
    shared, first, second = (FAMILIES[family](rng, (studies, runs)) for _ in range(3))
    intervals = [stats.mean_interval(row) for row in 0.5 * (first + shared) - 0.6 * (second + shared)]
    printed = np.array([interval is not None for interval in intervals])
    covered = np.array([interval is not None and interval.low <= -0.2 <= interval.high for interval in intervals])
    return {"covered": _share(covered, printed), "printed": printed.mean()}


def deviation_covers(family, runs, studies, rng):
    """Of twice the standard error of `relative_deviation`, of which no interval is made."""
    deviations = [stats.relative_deviation(row) for row in FAMILIES[family](rng, (studies, runs))]
    covered = [abs(each.value - DEVIATIONS[family]) <= 2 * each.standard_error for each in deviations]
    return {"two errors": np.mean(covered), "printed": 0.0}


def proportion_covers(share, runs):
    """Of `proportion`, and of Wilson's interval: exactly, by the binomial law."""
    hits = np.arange(runs + 1)
    weights = scipy.stats.binom.pmf(hits, runs, share)
    exact = [stats.proportion(count, runs)[1:] for count in hits.tolist()]
    wilson = [scipy.stats.binomtest(count, runs).proportion_ci(method="wilson") for count in hits.tolist()]
    inside = [[low <= share <= high for low, high in intervals] for intervals in (exact, wilson)]
    return {"covered": weights @ inside[0], "printed": 1.0, "wilson": weights @ inside[1]}


def twins(rng, studies, runs, rate):
    """Squared errors in 4 coordinates of variance 1/4, (studies, runs), and those of their twins.

    A twin has no misassigned samples. A run has Poisson(8 rate) many; each has moved the first coordinate by
    0.5 exp(-age), its age uniform between 0 and 8 time constants.
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
        interval = stats.controlled_interval(v, z, 1.0)
        estimate = stats.controlled(v, z, 1.0)
        t.append(abs(estimate.value - truth) <= scipy.stats.t.ppf(0.975, runs - 2) * estimate.standard_error)
        printed.append(interval is not None)
        shown = interval or stats.mean_interval(v)
        covered.append(shown is None or shown.low <= truth <= shown.high)
    controlled = np.array(printed)
    return {
        "covered": np.mean(covered),
        "controlled": controlled.mean(),
        "of these": _share(np.array(covered), controlled),
        "t": np.mean(t),
    }


def _share(hits, among):
    return float(hits[among].mean()) if among.any() else None


def laws(studies):
    """The rows of the table "law"."""
    for family in FAMILIES:
        for runs in RUNS:
            yield f"{family}, {runs} runs", _both(false_alarms(family, runs, studies))


def laws_off(studies):
    """The rows of the table "power"."""
    for off in (0.7, 0.8, 0.9, 1.1, 1.2, 1.3):
        for cells in (CELLS, 1):
            yield f"{cells} laws {off:g} times the truth", _both(power(off, cells, studies))


def bounds(studies):
    """The rows of the table "bound"."""
    for family in FAMILIES:
        for runs in RUNS:
            yield f"{family}, {runs} runs", _both(bound_shares(family, runs, studies))


def bounds_off(studies):
    """The rows of the table "bound power"."""
    for family in ("chi2_1", "chi2_4", "lognormal"):
        for axis, above in (("N", (0.2, 0.0)), ("k", (0.0, 0.2))):
            yield f"{family}, {axis}", _both(bound_shares(family, 64, studies, above))


def claims(studies):
    """The rows of the table "claims"."""
    for name, kind in true_claims.KINDS.items():
        for runs in kind.looks[-1:] or kind.runs:
            looks = f", looks at {', '.join(map(str, kind.looks))}" if kind.looks else ""
            yield f"{name}, {runs} runs{looks}", {"contradicted": true_claims.shares(kind, runs, studies)}


def coverages(studies):
    """The rows of the table "coverage"."""
    rng = np.random.default_rng(2)
    for family in ("chi2_1", "chi2_4", "chi2_50", "lognormal"):
        for runs in (2, 5, *RUNS):
            yield f"mean, {family}, {runs} runs", mean_covers(family, runs, 4 * studies, rng)
        for runs in (5, *RUNS):
            yield f"slope, {family}, {runs} runs", contrast_covers(family, runs, 4 * studies, rng)
        for runs in (2, 5, 6, *RUNS):
            yield f"median, {family}, {runs} runs", quantile_covers(family, runs, studies, rng)
        for runs in (2, 5, *RUNS):
            yield f"difference, {family}, {runs} runs", difference_covers(family, runs, 2 * studies, rng)
        for runs in (64, 256, 1024):
            yield f"deviation, {family}, {runs} runs", deviation_covers(family, runs, studies, rng)
    for share in (0.5, 0.9, 0.99):
        for runs in RUNS:
            yield f"proportion {share}, {runs} runs", proportion_covers(share, runs)
    for rate in (1, 0.1, 0.01, 0.001):
        for runs in (5, 16, 64, 256):
            yield f"controlled, {rate:g}, {runs} runs", controlled_covers(rate, runs, studies, rng)


def _both(shares):
    return {"before": shares.students, "after": shares.todays}


TABLES = {
    "law": laws,
    "power": laws_off,
    "bound": bounds,
    "bound power": bounds_off,
    "claims": claims,
    "coverage": coverages,
}


def main():
    """Print every row, and write them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--table", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "coverage.json")
    options = parser.parse_args()
    started = time.process_time()
    written = {"studies": options.studies, "level": LEVEL, "cells": CELLS}
    if options.json.exists() and set(options.table) < set(TABLES):
        written = json.loads(options.json.read_text(encoding="utf-8"))
    for table in options.table:
        written[table] = {}
        for name, numbers in TABLES[table](options.studies):
            rounded = {key: None if value is None else round(float(value), 4) for key, value in numbers.items()}
            written[table][name] = rounded
            told = "  ".join(f"{key} {value}" for key, value in rounded.items())
            print(f"{table:11}  {name:34}  {told}", flush=True)
    whole = set(options.table) == set(TABLES)
    seconds = round(time.process_time() - started, 1)
    made = {"environment": about.environment(), "cpu_seconds": seconds}
    written |= made if whole else {f"{table} made": made for table in options.table}
    options.json.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
