"""The data dictionary: what each file of a study's folder is, and what each of its columns means.

docs/files.md is generated from it; a test holds it to the columns that a study writes. Lengths are in the units of the
data, squared errors in their squares. "Good" runs are those whose error is finite and whose start has not failed.
"""

from jgmm.measures import MEASURES

FILES = {
    "study.toml": "The resolved spec, every default filled in, and the versions behind the numbers. Ends in a digest.",
    "cells/ID.parquet": "The runs of a cell, whose ID is the file's name: a row for each run and checkpoint.",
    "tiles/ID.LOW-HIGH.parquet": "Runs LOW to HIGH - 1 of a cell that is not finished; same columns.",
    "examples/ID.parquet": "The first run of a cell that starts by Algorithm 2: true means, starts and graph points.",
    "summary.parquet": "A row for each cell and checkpoint: means with standard errors, laws, bounds.",
    "summary.csv": "The same as text.",
    "components.csv": "A row for each cell and component, the heaviest first, where the spec measures `component_sq`.",
    "states.csv": "A row for each cell and end state of its runs, where it measures `holds`.",
    "bias.csv": "A row for each constant step with one twice as large beside it, where the quantity is `bias`.",
    "fits.csv": "A row for each curve along an axis: exponents with their intervals.",
    "verdicts.csv": "A row for each theorem and claim: the verdict and its sentence.",
    "paired.csv": "A row for each pair of algorithms, step sizes or own numbers, on the same streams.",
    "backends.csv": "A row for each range of runs: what computed them, and why.",
    "looks.json": "A record for each time the study was looked at with more runs. Each ends in a digest.",
    "figures/": "The figures of the page: PNG, SVG, SVG of a single column for phones, and the values drawn as JSON.",
    "report.html": "The page: one file without a network request.",
    "code/": "Sources of what the study names outside jgmm, if it does.",
    ".lock": "Who writes in the folder.",
}

_SETTING = {
    "part": "The part of the spec.",
    "algorithm": "The algorithm.",
    "k": "Components.",
    "d": "Dimensions.",
    "separation": "C, the distance between the two nearest means as the spec says it, in units of sigma.",
    "sigma": "Standard deviation that scales multiply.",
    "n": "N, the samples of the stream in all.",
    "rate": "The step size where it is constant; empty for a schedule, which rate_name spells out.",
    "rate_name": "The step size as the spec names it; `given` for a number.",
    "average": "The share of the last iterates that the estimate averages.",
    "beta": "Sharpness of the updates, for algorithms that have one.",
    "layout": "Where the means lie.",
    "start": "`seeding`, `truth`, `first`, `kmeans++`, `random`, or an offset in units of sigma.",
    "seeding_n": "N0, the samples of Algorithm 2.",
    "block": "B, the samples in a block of its power iteration.",
    "graph_points": "k0, the samples that its graph joins.",
    "neighbors": "The neighbours that each of them is joined to.",
    "method": "`block` or `oja`.",
    "weights": "Probabilities of the components.",
    "scales": "Standard deviations of the components, in the units of the data.",
}

CELL_COLUMNS = {
    **_SETTING,
    "run": "The run, from 0.",
    "samples": "Samples taken in so far, 0 at the start.",
    "error_sq": "Sum over estimates of the squared distance to the true mean, under the matching that makes it least.",
    "error_sum": "Sum over estimates of that distance.",
    "error_max": "The largest of those distances.",
    "lost": "Estimates that share their nearest true mean with another.",
    "twin_error_sq": "Squared error of the labelled twin.",
    "twin_mean_sq": "Its exact mean, given the run's start.",
    "realised_separation": "The separation of the run's own means, in units of the largest scale.",
    "largest_mean": "The largest distance of a true mean from the origin.",
    "components": "Connected components of Algorithm 2's graph; the start has failed unless they are k.",
    "subspace_distance": "Sine of the largest angle between the means' span and that of Algorithm 2's basis.",
    "displacement": "Estimates less the truth in a basis of the means' span, k r numbers; at the last checkpoint.",
    "twin_displacement": "The twin's, less its exact mean.",
}
MEASURED_COLUMNS = {name: measure.words for name, measure in MEASURES.items()}  # of a cell whose spec asks for them

EXAMPLE_COLUMNS = {
    "kind": "`mean`, `start` or `point`.",
    "component": "The component, or the graph's component of a point.",
    "x0, x1, ...": "Coordinates.",
    "u0, u1, ...": "Coordinates in Algorithm 2's basis.",
}

SUMMARY_COLUMNS = {
    "cell": "ID of the cell: a digest of its setting, the seed and the version of the results.",
    **_SETTING,
    "theorem": "The theorem whose claim the cell is compared with, or the study's own claim by its name.",
    "side": "Side of the box that means are drawn from.",
    "noise": "How samples differ from their means.",
    "batch": "Samples that a step is taken for.",
    "head": "Samples that a start from data looks at, before the N of the stream; empty for other starts.",
    "numbers": "Numbers of the algorithm, noise and sampling, as `df=3 dwell=0.9`; not beta, nor what is usual.",
    "samples": "Samples taken in so far.",
    "runs": "Runs stored.",
    "runs_ok": "Good runs.",
    "few": "Whether fewer than 8 runs are good: nothing is concluded from such a mean.",
    "kept": "runs_ok / runs.",
    "runs_not_finite": "Runs whose error is not finite.",
    "runs_graph_failed": "Runs in which Algorithm 2's graph has not k components.",
    "runs_lost": "Runs that have lost a component at this checkpoint.",
    "realised_separation": "Mean over runs of the separation of their own means.",
    "error_sq_mean": "Mean over all runs of the squared error, a sum over centres.",
    "error_sq_se": "Its standard error.",
    "error_sq_ok_mean": "Mean over good runs of the squared error, a sum over centres: the number to quote.",
    "error_sq_ok_se": "Its standard error.",
    "error_sum_mean": "Mean of error_sum over all runs.",
    "error_sum_se": "Its standard error.",
    "error_sum_ok_mean": "Mean of error_sum over good runs.",
    "error_sum_ok_se": "Its standard error.",
    "error_max_mean": "Mean of error_max over all runs.",
    "error_max_se": "Its standard error.",
    "error_max_ok_mean": "Mean of error_max over good runs.",
    "error_max_ok_se": "Its standard error.",
    "error_sq_ok_low": "Lower end of the 95 % interval of error_sq_ok_mean, made for skewed errors; last checkpoint.",
    "error_sq_ok_high": "Upper end.",
    "rmse": "Root of error_sq_ok_mean.",
    "rmse_se": "Its standard error.",
    "error_sq_controlled": "The same mean with the twin as control variate; empty where too few runs differ from it.",
    "error_sq_controlled_se": "Its standard error.",
    "variance_factor": "How many times less variance that mean has than the plain one.",
    "twin_gap": "The twin's mean over good runs less its exact mean, in standard errors; beyond 5 we are wrong.",
    "error_sq_q05": "5 % quantile of the squared error, all runs, those whose start failed too.",
    "error_sq_q50": "Median of all runs, those whose start failed too; the mean to quote is over good runs.",
    "error_sq_q50_low": "Lower end of the median's 95 % interval, from order statistics.",
    "error_sq_q50_high": "Upper end.",
    "error_sq_q95": "95 % quantile.",
    "carried_by_few": "Whether a few runs carry the mean, so that its standard error cannot be trusted.",
    "twin_error_sq_ok_mean": "Mean over good runs of the labelled twin's squared error; empty without a twin.",
    "twin_error_sq_ok_se": "Its standard error.",
    "law_error_sq": "The law: the expected squared error; after Algorithm 2, given the mean error of its starts.",
    "law_accuracy": "How far the law itself may be from the expectation, by its derivation.",
    "law_error_sum": "The law of error_sum.",
    "law_exact": "True where law_accuracy is a rounding; false where the law is to first order.",
    "floor_error_sq": "Squared error that no number of samples removes, by theory.",
    "floor_measured": "The same, measured from displacements with the twin's taken off; last checkpoint.",
    "floor_se": "Its standard error.",
    "bound_error_sq": "The theorem's bound with every hidden constant 1, at a run's end: for figures, decides nothing.",
    "oracle_error_sq": "Expected error of the means of the components' own samples (the twin moves by the rate).",
    "cramer_rao": "Cramer-Rao bound for unlabelled samples; of a symmetric pair.",
    "theorem3_bound": "C sigma/20, for cells that are about the start alone.",
    "theorem3_passed": "Share of all runs whose error_max is within it.",
    "theorem3_low": "Lower end of that share's 95 % interval.",
    "theorem3_high": "Upper end.",
    "converged": "Share of all runs, of failed starts too, with every estimate within half the separation of its mean.",
    "converged_low": "Lower end of that share's 95 % interval.",
    "converged_high": "Upper end.",
    "quantity": "What the cell's figures and fits are about.",
    "quantity_ok_mean": "Its mean over good runs.",
    "quantity_ok_se": "Its standard error.",
    "quantity_ok_low": "Lower end of the mean's 95 % interval, made for skewed numbers; last checkpoint.",
    "quantity_ok_high": "Upper end.",
    **{
        f"{name}_ok_{what}": words
        for name, measure in MEASURES.items()
        if measure.each is None
        for what, words in (("mean", f"{measure.words} Mean over good runs."), ("se", "Its standard error."))
    },
}

COMPONENT_COLUMNS = {
    "cell": "The cell's ID.",
    "part": "The part.",
    "rank": "The component's rank by weight, from 1, the heaviest; of equal weights the lowest index first.",
    "weight": "Its probability.",
    "scale": "Its standard deviation, in the units of the data.",
    "error_sq_ok_mean": "Mean over good runs, at the last checkpoint, of the squared distance of its estimate.",
    "error_sq_ok_se": "Its standard error.",
    "error_sq_ok_low": "Lower end of the mean's 95 % interval, made for skewed errors.",
    "error_sq_ok_high": "Upper end.",
    "runs_ok": "Good runs.",
}

STATE_COLUMNS = {
    "cell": "The cell's ID.",
    "part": "The part.",
    "state": "How many estimates the components hold at the last checkpoint, the most first, as `2+1+0`: an estimate is"
    " held by its nearest component. `not finite` where one is nowhere.",
    "in_state": "Runs in this state.",
    "runs": "All runs.",
    "share": "in_state / runs.",
    "low": "Lower end of its 95 % interval, exact by the binomial law.",
    "high": "Upper end.",
    "error_sq_mean": "Mean squared error of the runs in this state.",
    "error_sq_se": "Its standard error.",
}

FIT_COLUMNS = {
    "part": "The part.",
    "setting": "What is the same along the curve.",
    "quantity": "`error_sq`, or `floor`.",
    "axis": "The axis; `exp(C^2)` for a floor, whose exponent is how it falls with C^2.",
    "exponent": "The exponent of the family that was chosen.",
    "low": "Lower end of its 95 % interval; where the family is undetermined, of the hull of all families possible.",
    "high": "Upper end.",
    "law": "Slope of the law over the same sizes.",
    "bound": "Slope of the bound's variance term over the same sizes; of a floor its floor term's.",
    "verdict": "`agrees with the law`, `off the law` or `no law`.",
    "family": "`power`, `power-log`, ...; `undetermined` where the sizes do not decide.",
    "chi2_df": "Chi-squared per degree of freedom of that family.",
    "ols": "Exponent of a power by unweighted least squares.",
    "slope": "Least-squares slope of ln error against ln size over all sizes: no family is assumed.",
    "slope_low": "Lower end of its 95 % interval.",
    "slope_high": "Upper end.",
    "sizes": "Sizes on the curve.",
    "runs": "Runs that are good in every cell of it.",
    "kept": "The least share of a cell's runs that are good.",
}

VERDICT_COLUMNS = {
    "theorem": "The theorem, with beta where updates have one other than 1; or the study's own claim by its name.",
    "verdict": "See [verdicts](concepts.md#verdict).",
    "sentence": "What was found, and over which cells, sizes and runs.",
    "level": "Chance of any false finding at this look.",
    "look": "Which look at growing data this is.",
}

PAIRED_COLUMNS = {
    "setting": "What both have in common.",
    "first": "The first algorithm with its step size and numbers.",
    "second": "The second.",
    "n": "N.",
    "difference": "Mean of the second's squared error of one centre less the first's, run by run.",
    "difference_se": "Its standard error.",
    "ratio": "Ratio of the two means.",
    "ratio_se": "Its standard error.",
    "correlation": "Correlation of the two errors over runs.",
    "labelled": "The ratio if every label were known: what step sizes alone would make of it.",
}

BACK_END_COLUMNS = {
    "cell": "The cell's ID.",
    "low": "The first run.",
    "high": "The last run + 1.",
    "device": "What the process computed on.",
    "back_end": "What drove the stream: cpu, gpu or scan.",
    "reason": "Why this one.",
    "seeding_back_end": "What drove Algorithm 2.",
    "seeding_reason": "Why this one.",
    "check": "The beginning of a digest of the line.",
}

BIAS_COLUMNS = {
    "cell": "The cell's ID.",
    "part": "The part of the spec.",
    "setting": "Where the cell stands on the axes that vary, but for the step.",
    "rate": "The step, eta.",
    "bias": "Mean of what twice the step adds to the displacements: D(2 eta) - D(eta), along the largest step's move.",
    "bias_se": "Its standard error, of paired runs.",
    "bias_low": "Lower end of its 95 % interval.",
    "bias_high": "Upper end.",
    "law": "The same to first order in eta, where it is known: of a symmetric pair.",
    "left": "How far 2 D(eta) - D(2 eta) moves with twice the step, over bias; 0 of eta, 0.59 of its root.",
    "left_se": "Its standard error.",
    "runs_ok": "Runs that are good at both steps.",
}

LOOK_KEYS = {
    "look": "Which look this is, from 1.",
    "runs": "Runs of cells that were looked at.",
    "claims": "The study's own claims then, each behind its part.",
    "time": "When.",
    "seconds": "What the simulation took, if it ran before this look.",
    "samples": "Samples it drew.",
    "verdicts": "The sentences, by theorem.",
    "sha256": "Digest of this record and all before it.",
}

COLUMNS = {
    "cells/ID.parquet": CELL_COLUMNS,
    "examples/ID.parquet": EXAMPLE_COLUMNS,
    "summary.parquet": SUMMARY_COLUMNS,
    "components.csv": COMPONENT_COLUMNS,
    "states.csv": STATE_COLUMNS,
    "bias.csv": BIAS_COLUMNS,
    "fits.csv": FIT_COLUMNS,
    "verdicts.csv": VERDICT_COLUMNS,
    "paired.csv": PAIRED_COLUMNS,
    "backends.csv": BACK_END_COLUMNS,
    "looks.json": LOOK_KEYS,
}
