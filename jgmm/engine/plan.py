r"""In which order the results of a list can be computed and stored: what `consume` goes by, read off the operations.

Sums over the shares of a run come in stages, each once the ones before are known. Results replace what they are
computed from, so what several of them need is computed before any of them is stored.
"""

from collections.abc import Sequence
from typing import NamedTuple

from jgmm.engine.emit import AGAIN, counted
from jgmm.engine.operations import Node
from jgmm.engine.program import Piece, Program

WRITTEN_OUT = 3000  # operations of all shares, at most, that are written out

Result = tuple[tuple, Node]  # a name, ("leaf", number, index), and what it becomes
Row = list[list[Result]]  # groups of results, each of which is computed whole before any of it is stored


class Plan(NamedTuple):
    """How a piece is gone through.

    totals: stage by stage, those that can be added up once the ones before are known. whole: the shares are written out
    one after another. kept: values of a share's own that a later stage needs, with the stage that computes them;
    needed: in which stages. Empty where shares are written out.
    """

    totals: list[list[Node]]
    whole: bool
    kept: list[tuple[Node, int]]
    needed: list[set[int]]


def plan(program: Program, piece: Piece) -> Plan:
    """For any piece of a program."""
    order, _, cost = counted(piece.results.values())
    totals = [node for node in order if node.op == "total"]
    stages = [[node for node in totals if node.depth == depth] for depth in sorted({node.depth for node in totals})]
    if program.shares == 1 or program.shares * len(order) <= WRITTEN_OUT:
        return Plan(stages, True, [], [])
    first: dict[int, int] = {}  # the stage that a node is first computed in
    kept: dict[int, tuple[Node, int]] = {}
    needed: dict[int, set[int]] = {}
    ends = [[node.args[0] for node in stage] for stage in stages] + [list(piece.results.values())]
    for stage, results in enumerate(ends):
        own = [node for node in _until_totals(results) if node.tag is not None]
        for node in own:
            first.setdefault(id(node), stage)
        wanted = [arg for node in own if first[id(node)] == stage for arg in node.args] + results
        for node in wanted:
            if first.get(id(node), stage) < stage and cost[id(node)] > AGAIN and node.dtype == program.dtype:
                kept[id(node)] = node, first[id(node)]
                needed.setdefault(id(node), set()).add(stage)
    return Plan(stages, False, list(kept.values()), [needed[key] for key in kept])


def _until_totals(results: Sequence[Node]) -> list[Node]:
    """What is needed once the totals are known."""
    seen: dict[int, Node] = {}
    stack = list(results)
    while stack:
        node = stack.pop()
        if id(node) not in seen and node.op != "total":
            seen[id(node)] = node
            stack += node.args
    return list(seen.values())


def scratch_rows(program: Program) -> dict[str, int]:
    """Rows of scratch for the parts of sums, and for shares' own values."""
    plans = [plan(program, piece) for piece in (program.step, program.end) if piece is not None]
    parts = [len(totals) for each in plans for totals in each.totals]
    own = [len(each.kept) for each in plans]
    return {"parts": max(1, *parts, 0) * program.shares, "own": max(1, *own) * program.shares}


def grouped(results: Sequence[Result], moving: set[int], program: Program) -> tuple[list[Row], list[Node]]:
    """Rows of groups of results that are stored together, and what must have a value before anything is stored.

    A group holds the results at one index of leaves that need each other's values (a centre's coordinate, and its
    average's). What several groups need of what changes is computed first. moving: the ids of nodes that change when
    something is stored.
    """
    order, *_ = counted(node for _, node in results)
    together = _leaves_together(order, results, moving, len(program.leaves))
    groups: dict[tuple, list[int]] = {}
    for i, (name, _) in enumerate(results):
        groups.setdefault((_root(together, name[1]), name[2]), []).append(i)
    pins = _needed_by_several(order, list(groups.values()), results, moving)
    rows: dict[tuple, Row] = {}
    for (leaf, index), members in groups.items():
        rows.setdefault((leaf, index[:1]), []).append([results[i] for i in members])
    return list(rows.values()), pins


def _leaves_together(order: Sequence[Node], results: Sequence[Result], moving: set[int], leaves: int) -> dict[int, int]:
    """Leaves whose results at the same index need a value that moves: a forest, each leaf below one of its kind."""
    needing = _needing(order, [[i] for i in range(len(results))], results)
    together: dict[int, int] = {}
    for node in order:
        mask = needing[id(node)]
        if id(node) in moving and 1 < mask.bit_count() <= leaves:
            names = [results[i][0] for i in range(len(results)) if mask >> i & 1]
            if len({name[2] for name in names}) == 1:
                for name in names[1:]:
                    together[_root(together, name[1])] = _root(together, names[0][1])
    return together


def _root(together: dict[int, int], leaf: int) -> int:
    while together.get(leaf, leaf) != leaf:
        leaf = together[leaf]
    return leaf


def _needed_by_several(
    order: Sequence[Node], groups: Sequence[Sequence[int]], results: Sequence[Result], moving: set[int]
) -> list[Node]:
    """Nodes that move and that several groups need, the last before the groups part."""
    needing = _needing(order, groups, results)
    direct = {id(node) for _, node in results}
    users: dict[int, list[Node]] = {}
    for node in order:
        for arg in node.args:
            users.setdefault(id(arg), []).append(node)
    several = []
    for node in order:
        mask = needing[id(node)]
        if id(node) in moving and mask.bit_count() > 1:
            parts = any(needing[id(user)] != mask for user in users.get(id(node), []))
            several += [node] if id(node) in direct or parts else []
    return several


def _needing(order: Sequence[Node], groups: Sequence[Sequence[int]], results: Sequence[Result]) -> dict[int, int]:
    """For each node the groups that need it or replace it, as bits."""
    needing: dict[int, int] = {}
    before = {node.data: node for node in order if node.op == "input"}
    for bit, members in enumerate(groups):
        for i in members:
            name, result = results[i]
            for node in (result, before.get(name)):
                if node is not None:
                    needing[id(node)] = needing.get(id(node), 0) | 1 << bit
    for node in reversed(order):
        mask = needing.setdefault(id(node), 0)
        for arg in node.args if node.op != "total" else ():
            needing[id(arg)] = needing.get(id(arg), 0) | mask
    return needing
