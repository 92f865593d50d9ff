"""Words that several commands say."""

from jgmm.study import spec
from jgmm.study.spec import Study


def runs_of(study: Study) -> str:
    """How many runs a cell gets."""
    if study.precision is None:
        return f"{study.runs} runs"
    most = f"{study.rounds()[-1]}" + ("" if study.max_runs else f", {spec.ROUNDS_GROW} times as many (--max-runs)")
    return f"{study.runs} runs, more until every precision is {study.precision:g}, at most {most}"
