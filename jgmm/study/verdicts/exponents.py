"""How an error grows along N, k, d or sigma, compared with a bound's variance term; the term's constant is free."""

import numpy as np

from jgmm import stats
from jgmm.study import curves, regime
from jgmm.study.curves import Curve
from jgmm.study.read import CellData
from jgmm.study.spec import Study
from jgmm.study.verdicts import phrases
from jgmm.study.verdicts.finding import Finding
from jgmm.study.verdicts.floors import floor_share

AXES = ("n", "k", "d", "sigma")  # the axes that variance terms depend on
LEAST_SIZES = 3  # that a curve must have
AT_FLOOR = 0.05  # an error whose floor is a larger share bends by more than the margin within a decade of N


def lines(study: Study, items: list[CellData]) -> list[Curve]:
    """The curves of these cells that can be compared with a variance term."""
    return [curve for curve in curves.curves(study, items) if curve.axis in AXES and curves.usable(curve)]


def above_floor(curve: Curve) -> Curve:
    """The curve without the cells whose floor is more than AT_FLOOR of their error."""
    return _only(curve, [i for i, item in enumerate(curve.items) if not floor_share(item) > AT_FLOOR])


def _only(curve: Curve, indices: list[int]) -> Curve:
    return curve._replace(x=curve.x[indices], items=[curve.items[i] for i in indices])


def finding(number: int, curve: Curve, level: float) -> Finding:
    """Compare the errors of a curve with the variance term of Theorem `number`."""
    comparison = _against_variance(curve, level)
    kind = _of_contradiction(curve, level) if comparison.kind == "contradicted" else comparison.kind
    axis = curves.WORDS.get(curve.axis, curve.axis)
    local = ", ".join(f"{exponent:+.3f}" for exponent in comparison.local)
    detail = f"measured {axis}^{comparison.slope:.3f}, term {axis}^{comparison.bound:.3f}; local exponents {local}"
    law = curves.law(curve)
    runs, kept = phrases.kept(curve.items)
    return Finding(
        theorem=str(number),
        part=curve.part,
        axis=axis,
        setting=curve.setting,
        kind=kind,
        measured=comparison.slope,
        bound=comparison.bound,
        gap=comparison.gap,
        low=comparison.low,
        high=comparison.high,
        detail=phrases.joined(detail, phrases.kept_words(curve.items)),
        law=np.nan if law is None else float(stats.slope_weights(curve.x) @ np.log(law)),
        over=f"{axis} {phrases.span(curve.x)}",
        runs=runs,
        kept=kept,
    )


def _against_variance(curve: Curve, level: float) -> stats.BoundCheck:
    term = np.array([regime.variance(item) for item in curve.items], float)
    return stats.against_bound(curve.x, curves.values(curve), term, level)


def _of_contradiction(curve: Curve, level: float) -> str:
    """The kind of a finding whose error grows faster than the variance term: "contradicted", or why it is not."""
    if not regime.own_updates(curve.items[0]):
        return "exceeds"
    floors = [regime.log_floor(item) for item in curve.items[-2:]]
    logs = np.log(curves.values(curve).mean(axis=1)[-2:])
    if all(floor is not None and floor >= log for floor, log in zip(floors, logs, strict=True)):
        return "floor term"  # it covers the error with constant 1, whatever the other term does
    enough = [i for i, item in enumerate(curve.items) if regime.enough_samples(item)]
    if len(enough) == len(curve.items):
        return "contradicted"
    if len(enough) < LEAST_SIZES:
        return "few samples"
    again = _against_variance(_only(curve, enough), level)
    return "contradicted" if again.kind == "contradicted" else "few samples"
