"""A claim of the atlas about runs: of each cell at least a share of them has a quantity within a limit.

    P(on <= within) >= least        consistent      in every cell the share's lower limit is at least that
                                    contradicted    in some cell its upper limit is below
                                    inconclusive    neither

Limits are Clopper and Pearson's, simultaneous over the cells at the level of the look. A run that is not finite is
within nothing.
"""

from pathlib import Path
from typing import Any, NamedTuple

from jgmm import expressions, stats
from jgmm.report import write
from jgmm.study import names, quantities
from jgmm.study.verdicts import phrases


class Judged(NamedTuple):
    """The verdict, as a row of verdicts.csv, and a row for each cell."""

    verdict: dict[str, str]
    rows: list[dict[str, str]]


def judge(entry: Any, study: Any, folder: Path, look: int) -> Judged:
    """The verdict on an entry's share, of a study that is stored in a folder."""
    on, within, least = entry.share
    items = [item for item in write.stored(folder, study).data if not entry.parts or item.cell.part in entry.parts]
    level = stats.look_level(look)
    limit = expressions.parse(within)
    found, rows = [], []
    for item in items:
        numbers = names.of_cell(item.cell)
        most = limit.value(**{name: numbers[name] for name in limit.names})
        values = quantities.values(item, on)
        hits = int((values <= most).sum())
        share = stats.proportion(hits, len(values), 1 - level / len(items))
        found.append((share, hits, len(values)))
        told = {"cell": item.id, "within": most, "hits": hits, "runs": len(values)}
        rows.append({name: str(value) for name, value in {**told, **share._asdict()}.items()})
    kind = verdict(least, [share for share, _, _ in found])
    hits, runs = (sum(each[i] for each in found) for i in (1, 2))
    worst = min((share for share, _, _ in found), key=lambda share: share.low)
    head = {"consistent": "is consistent with what was tried", "contradicted": "is contradicted"}
    said = [
        f"{entry.verdict} {head.get(kind, 'is inconclusive')}: of {runs} runs {hits} end within it",
        f"Claimed: {on} <= {within} in at least {100 * least:g} % of the runs",
        f"The least share of a cell is {100 * worst.value:.4g} % [{100 * worst.low:.4g}, {100 * worst.high:.4g}]",
        f"Tried: {phrases.cells(len(items))}, {phrases.sizes(items)}",
    ]
    sentence = ". ".join(said) + "."
    row = {"theorem": entry.verdict, "verdict": kind, "sentence": sentence, "level": str(level), "look": str(look)}
    return Judged(row, rows)


def verdict(least: float, shares: list[Any]) -> str:
    """One word, of the shares' simultaneous intervals."""
    if any(share.high < least for share in shares):
        return "contradicted"
    return "consistent" if all(share.low >= least for share in shares) else "inconclusive"
